use super::*;
use crate::holders::{ReleaseError, release};
use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use tempfile::TempDir;

const LIMITS: HoldersLimits = HoldersLimits {
    entries: 1_000,
    forget_after: None,
};

const DAY: u64 = 24 * 60 * 60;

fn key(number: u64) -> SubjectKey {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    SubjectKey::from(bytes)
}

fn id(name: impl std::fmt::Display) -> SpiffeId {
    format!("spiffe://example.org/spire/agent/k8s_sat/{name}")
        .parse()
        .unwrap()
}

fn claim(holders: &Holders, name: &str, subject: u64, at: u64) -> Claim {
    let words = format!("subject {subject}");
    holders.claim(&id(name), key(subject), words, at).unwrap()
}

fn collides_with(claim: &Claim) -> &str {
    match claim {
        Claim::Collision { holder } => &holder.words,
        Claim::Held | Claim::Inherited { .. } => panic!("{claim:?}"),
    }
}

#[test]
fn the_first_subject_holds_an_id_and_another_does_not_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let holders = Holders::open(folder.path(), LIMITS).unwrap();
    assert_eq!(claim(&holders, "a", 1, 10), Claim::Held);
    assert_eq!(claim(&holders, "a", 1, 20), Claim::Held);
    assert_eq!(collides_with(&claim(&holders, "a", 2, 30)), "subject 1");
    assert_eq!(claim(&holders, "b", 2, 30), Claim::Held);
    let status = holders.status().unwrap();
    assert_eq!((status.entries, status.collisions), (2, 1));
}

#[test]
fn a_restart_forgets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let holders = Holders::open(folder.path(), LIMITS).unwrap();
    assert_eq!(claim(&holders, "a", 1, 10), Claim::Held);
    drop(holders);
    let holders = Holders::open(folder.path(), LIMITS).unwrap();
    assert_eq!(collides_with(&claim(&holders, "a", 2, 20)), "subject 1");
    let holder = holders.holder(&id("a")).unwrap().unwrap();
    assert_eq!((holder.since, holder.seen), (10, 10));
}

#[test]
fn of_many_subjects_at_once_exactly_one_holds_an_id() {
    let folder = tempfile::tempdir().unwrap();
    let holders = Holders::open(folder.path(), LIMITS).unwrap();
    let held: usize = thread::scope(|scope| {
        let racing: Vec<_> = (0..16)
            .map(|subject| {
                let holders = &holders;
                scope.spawn(move || claim(holders, "a", subject, 10) == Claim::Held)
            })
            .collect();
        let won = racing.into_iter().map(|one| one.join().unwrap());
        won.filter(|won| *won).count()
    });
    assert_eq!(held, 1);
}

#[test]
fn what_was_not_seen_for_longest_is_forgotten_for_want_of_room() {
    let folder = tempfile::tempdir().unwrap();
    let limits = HoldersLimits {
        entries: 3,
        ..LIMITS
    };
    let holders = Holders::open(folder.path(), limits).unwrap();
    for (name, at) in [("a", 1), ("b", 2), ("c", 3)] {
        assert_eq!(claim(&holders, name, 1, at), Claim::Held);
    }
    // Seen a day later, and so no longer the oldest. The claim behind it says
    // when that is written.
    assert_eq!(claim(&holders, "a", 1, DAY), Claim::Held);
    assert_eq!(claim(&holders, "d", 1, DAY), Claim::Held);
    let there = |name| holders.holder(&id(name)).unwrap().is_some();
    assert!(there("a") && !there("b") && there("c") && there("d"));
    let status = holders.status().unwrap();
    assert_eq!((status.entries, status.limit, status.forgotten), (3, 3, 1));
    // Forgotten is free.
    assert_eq!(claim(&holders, "b", 2, DAY), Claim::Held);
}

#[test]
fn a_holder_not_seen_for_long_gives_way_where_that_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let limits = HoldersLimits {
        forget_after: Some(Duration::from_secs(DAY)),
        ..LIMITS
    };
    let holders = Holders::open(folder.path(), limits).unwrap();
    assert_eq!(claim(&holders, "a", 1, 10), Claim::Held);
    collides_with(&claim(&holders, "a", 2, 10 + DAY));
    let Claim::Inherited { from, why } = claim(&holders, "a", 2, 11 + DAY) else {
        panic!("still held");
    };
    assert_eq!(
        (from.words.as_str(), why),
        ("subject 1", Inheritance::Expired)
    );
    collides_with(&claim(&holders, "a", 1, 12 + DAY));
    holders.limit(LIMITS);
    collides_with(&claim(&holders, "a", 1, 10 * DAY));
}

#[test]
fn a_release_serves_for_one_change_of_hands() {
    let folder = tempfile::tempdir().unwrap();
    let holders = Holders::open(folder.path(), LIMITS).unwrap();
    assert_eq!(claim(&holders, "a", 1, 10), Claim::Held);
    collides_with(&claim(&holders, "a", 2, 20));
    // Of another ID, it says nothing about this one.
    release(folder.path(), &id("b"), 20).unwrap();
    collides_with(&claim(&holders, "a", 2, 20));
    release(folder.path(), &id("a"), 20).unwrap();
    // Whoever holds it already does not use it up.
    assert_eq!(claim(&holders, "a", 1, 30), Claim::Held);
    let Claim::Inherited { from, why } = claim(&holders, "a", 2, 40) else {
        panic!("still held");
    };
    assert_eq!(
        (from.words.as_str(), why),
        ("subject 1", Inheritance::Released)
    );
    assert_eq!(claim(&holders, "a", 2, 50), Claim::Held);
    assert_eq!(collides_with(&claim(&holders, "a", 1, 60)), "subject 2");
}

#[test]
fn a_release_is_used_up_by_whoever_is_given_the_id() {
    let limits = HoldersLimits {
        entries: 1,
        forget_after: Some(Duration::from_secs(DAY)),
    };
    // The ID was never held, is forgotten for want of room, or has expired.
    let never: fn(&Holders) -> u64 = |_| 20;
    let forgotten: fn(&Holders) -> u64 = |holders| {
        assert_eq!(claim(holders, "a", 1, 10), Claim::Held);
        assert_eq!(claim(holders, "b", 1, 11), Claim::Held);
        20
    };
    let expired: fn(&Holders) -> u64 = |holders| {
        assert_eq!(claim(holders, "a", 1, 10), Claim::Held);
        11 + DAY
    };
    for before in [never, forgotten, expired] {
        let folder = tempfile::tempdir().unwrap();
        let holders = Holders::open(folder.path(), limits).unwrap();
        let at = before(&holders);
        release(folder.path(), &id("a"), 10).unwrap();
        match claim(&holders, "a", 2, at) {
            Claim::Held => {}
            Claim::Inherited { why, .. } => assert_eq!(why, Inheritance::Expired),
            Claim::Collision { holder } => panic!("{holder:?}"),
        }
        assert_eq!(collides_with(&claim(&holders, "a", 3, at + 1)), "subject 2");
    }
}

#[test]
fn a_release_is_void_after_a_week() {
    let folder = tempfile::tempdir().unwrap();
    let holders = Holders::open(folder.path(), LIMITS).unwrap();
    assert_eq!(claim(&holders, "a", 1, DAY), Claim::Held);
    release(folder.path(), &id("a"), DAY).unwrap();
    collides_with(&claim(&holders, "a", 2, 1 + 8 * DAY));
    // Gone with that: a clock that is set back does not bring it back.
    collides_with(&claim(&holders, "a", 2, DAY));
    release(folder.path(), &id("a"), DAY).unwrap();
    let inherited = claim(&holders, "a", 2, 8 * DAY);
    assert!(
        matches!(
            inherited,
            Claim::Inherited {
                why: Inheritance::Released,
                ..
            }
        ),
        "{inherited:?}"
    );
}

#[test]
fn a_release_that_cannot_be_taken_is_the_trouble_of_its_one_claim() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(folder.path(), LIMITS, DirectoryCheck::On).unwrap();
    for name in ["a", "b"] {
        release(folder.path(), &id(name), 10).unwrap();
    }
    let torn = folder.path().join("released").join(file_of("b"));
    fs::write(&torn, "{").unwrap();
    let claims = ["a", "b", "c"].map(|name| claimed(name, 1, 10));
    let decided = writer.write(&claims, &[]).unwrap();
    let [Ok(Claim::Held), Err(error), Ok(Claim::Held)] = decided.as_slice() else {
        panic!("{decided:?}");
    };
    assert_eq!(
        error.to_string(),
        format!("cannot take the release `{}`", torn.display())
    );
    // Nothing is claimed by who was told so, and a release made anew serves.
    assert_eq!(holder_in(&writer.database, "b"), None);
    release(folder.path(), &id("b"), 10).unwrap();
    let decided = writer.write(&[claimed("b", 2, 10)], &[]).unwrap();
    assert!(
        matches!(decided.as_slice(), [Ok(Claim::Held)]),
        "{decided:?}"
    );
    assert!(!torn.exists());
}

fn file_of(name: &str) -> String {
    let digest = nameplate_policy::Digest::of(id(name).as_str().as_bytes()).to_string();
    digest.trim_start_matches("sha256:").to_owned()
}

fn claimed(name: &str, subject: u64, at: u64) -> Claimed {
    Claimed {
        id: id(name).to_string(),
        key: key(subject),
        words: format!("subject {subject}"),
        at,
    }
}

fn holder_in(database: &Database, name: &str) -> Option<Holder> {
    let read = database.begin_read().unwrap();
    table::holder(&read, id(name).as_str()).unwrap()
}

#[test]
fn the_folder_of_releases_is_there_for_its_user_alone_as_soon_as_the_record_is() {
    let folder = tempfile::tempdir().unwrap();
    drop(Holders::open(folder.path(), LIMITS).unwrap());
    let released = folder.path().join("released");
    let mode = fs::metadata(&released).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(fs::read_dir(&released).unwrap().count(), 0);

    // What is no folder to take from is said at once.
    fs::remove_dir(&released).unwrap();
    fs::write(&released, "").unwrap();
    let error = Holders::open(folder.path(), LIMITS).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot take releases from `{}`", released.display())
    );
    assert!(std::error::Error::source(&error).is_some());
}

/// A user that is neither root nor who runs the tests.
const ANOTHER: u32 = 65_534;

/// The folder that the child of the test below takes a release in.
const ANOTHERS: &str = "NAMEPLATE_TEST_ANOTHERS_HOLDERS";

/// What attests runs as a user of its own, and root releases.
#[test]
fn root_releases_for_the_user_that_attests() {
    if let Some(folder) = std::env::var_os(ANOTHERS) {
        let holders = Holders::open(Path::new(&folder), LIMITS).unwrap();
        let claim = match std::env::var(CHILD).as_deref() {
            Ok("first") => claim(&holders, "a", 1, 10),
            _ => claim(&holders, "a", 2, 20),
        };
        println!("came to {claim:?}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    if chown(folder.path(), Some(ANOTHER), Some(ANOTHER)).is_err() {
        println!("left out: only root can be two users");
        return;
    }
    let attests = |round: &str| {
        let test = "holders::tests::root_releases_for_the_user_that_attests";
        let output = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(ANOTHERS, folder.path())
            .env(CHILD, round)
            .uid(ANOTHER)
            .gid(ANOTHER)
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    // Built below a directory that is closed to others, it does not even start.
    let start = Command::new(std::env::current_exe().unwrap())
        .arg("--list")
        .uid(ANOTHER)
        .gid(ANOTHER)
        .output();
    if start.is_err() {
        println!("left out: another user cannot run this test");
        return;
    }
    // Before anything attested: root's folder would be closed to it.
    let released = folder.path().join("released");
    let error = release(folder.path(), &id("a"), 10).unwrap_err();
    let ReleaseError::Foreign { path, user, owner } = &error else {
        panic!("{error}");
    };
    assert_eq!(
        (path.as_str(), *user, *owner),
        (released.to_str().unwrap(), 0, ANOTHER)
    );
    assert_eq!(
        error.to_string(),
        format!(
            "`{}` is not there, and made by user 0 it would be closed to user 65534, who owns the state: release as user 65534, or start what attests with `on_collision` first",
            released.display()
        )
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    let first = attests("first");
    assert!(first.contains("came to Held"), "{first}");
    release(folder.path(), &id("a"), 20).unwrap();
    let second = attests("second");
    assert!(second.contains("why: Released"), "{second}");
    // Where root's folder stands in the way all the same, it is said at once.
    chown(&released, Some(0), Some(0)).unwrap();
    fs::set_permissions(&released, Permissions::from_mode(0o700)).unwrap();
    let third = attests("second");
    assert!(!third.contains("came to"), "{third}");
}

#[test]
fn the_folder_of_releases_is_made_by_the_owner_of_the_state() {
    let folder = tempfile::tempdir().unwrap();
    release(folder.path(), &id("a"), 10).unwrap();
    // What a release that was killed left behind is in nobody's way.
    let half = format!("released/.{}.next", file_of("a"));
    fs::write(folder.path().join(half), "{").unwrap();
    release(folder.path(), &id("a"), 10).unwrap();
    let names: Vec<_> = fs::read_dir(folder.path().join("released"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, [file_of("a")]);

    let absent = folder.path().join("absent");
    let error = release(&absent, &id("a"), 10).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot write `{}`", absent.display())
    );
}

/// What a kill at this moment leaves: the file as it is, and nothing that only
/// the process knows.
fn after_a_kill(folder: &TempDir, name: &str) -> Option<Holder> {
    let copy = tempfile::tempdir().unwrap();
    fs::copy(folder.path().join(FILE), copy.path().join(FILE)).unwrap();
    let holders = Holders::open(copy.path(), LIMITS).unwrap();
    holders.holder(&id(name)).unwrap()
}

#[test]
fn what_was_seen_is_on_disk_within_a_minute() {
    let folder = tempfile::tempdir().unwrap();
    drop(Holders::open(folder.path(), LIMITS).unwrap());
    let mut writer = Writer::open(folder.path(), LIMITS, DirectoryCheck::On).unwrap();
    let seen = |writer: &mut Writer, at: u64| {
        writer.write(&[], &[(id("a").to_string(), at)]).unwrap();
        after_a_kill(&folder, "a").unwrap().seen
    };
    writer.write(&[claimed("a", 1, 10)], &[]).unwrap();
    drop(writer);
    let mut writer = Writer::open(folder.path(), LIMITS, DirectoryCheck::On).unwrap();
    // The first one after opening: nobody knows how old what is there was.
    assert_eq!(seen(&mut writer, 1_000), 1_000);
    assert_eq!(seen(&mut writer, 1_059), 1_000);
    assert_eq!(seen(&mut writer, 1_060), 1_060);
    assert_eq!(seen(&mut writer, 1_061), 1_060);
    // What a claim writes takes along what was seen before it.
    writer.write(&[claimed("b", 1, 1_062)], &[]).unwrap();
    assert_eq!(after_a_kill(&folder, "a").unwrap().seen, 1_061);
    // A clock that was set back is waited for no longer than one that goes on.
    assert_eq!(seen(&mut writer, 900), 900);
    // With nobody else to come, quiet is enough.
    assert_eq!(seen(&mut writer, 901), 900);
    writer.settle();
    assert_eq!(after_a_kill(&folder, "a").unwrap().seen, 901);
}

/// The folder that the child of the test below is seen in.
const SEEN_CHILD: &str = "NAMEPLATE_TEST_HOLDERS_SEEN";

/// A fleet that gains no machine for a month, and a process that is killed
/// then: who attested all the time has not expired.
#[test]
fn who_was_seen_before_a_kill_has_not_expired_after_it() {
    if let Some(folder) = std::env::var_os(SEEN_CHILD) {
        be_seen(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let test = "holders::tests::who_was_seen_before_a_kill_has_not_expired_after_it";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(SEEN_CHILD, folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("seen for a month")));
    child.kill().unwrap();
    child.wait().unwrap();
    let limits = HoldersLimits {
        forget_after: Some(Duration::from_secs(7 * DAY)),
        ..LIMITS
    };
    let holders = Holders::open(folder.path(), limits).unwrap();
    collides_with(&claim(&holders, "a", 2, 31 * DAY));
}

fn be_seen(folder: &Path) -> ! {
    let holders = Holders::open(folder, LIMITS).unwrap();
    assert_eq!(claim(&holders, "a", 1, 10), Claim::Held);
    for at in (1..=30).map(|day| day * DAY) {
        assert_eq!(claim(&holders, "a", 1, at), Claim::Held);
        // Readers see what is written before it is on disk.
        while holders.holder(&id("a")).unwrap().unwrap().seen != at {
            thread::yield_now();
        }
    }
    println!("seen for a month");
    loop {
        thread::park();
    }
}

/// The folder that the child of the test below claims in.
const CHILD: &str = "NAMEPLATE_TEST_HOLDERS";

/// A process is killed at fifty moments while four threads claim. Whatever it
/// said to be held is held afterwards, and the database opens.
#[test]
fn what_was_given_before_a_kill_is_held_after_it() {
    if let Some(folder) = std::env::var_os(CHILD) {
        claim_for_ever(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut given: Vec<u64> = Vec::new();
    for round in 0..50 {
        given.extend(killed_after(&folder, round));
        let holders = Holders::open(folder.path(), LIMITS_OF_CHILD).unwrap();
        for name in &given {
            let holder = holders.holder(&id(name)).unwrap();
            assert_eq!(holder.map(|holder| holder.key), Some(key(*name)), "{name}");
        }
    }
    assert!(!given.is_empty());
}

const LIMITS_OF_CHILD: HoldersLimits = HoldersLimits {
    entries: 1_000_000,
    forget_after: None,
};

/// Kills the child after the lines that the round says, and gives what it said.
fn killed_after(folder: &TempDir, round: usize) -> Vec<u64> {
    let test = "holders::tests::what_was_given_before_a_kill_is_held_after_it";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(CHILD, folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = lines.map_while(Result::ok).filter_map(|line| {
        let (_, name) = line.split_once("held ")?;
        name.parse().ok()
    });
    // Moments that differ in what is being written: 1, 8, 15, … claims.
    let mut given: Vec<u64> = said.by_ref().take(1 + round * 7 % 90).collect();
    child.kill().unwrap();
    // What it had said by then is in the pipe.
    given.extend(said);
    child.wait().unwrap();
    given
}

fn claim_for_ever(folder: &Path) -> ! {
    let holders = Holders::open(folder, LIMITS_OF_CHILD).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let (name, _) = uuid::Uuid::new_v4().as_u64_pair();
                    let words = "a subject".to_owned();
                    let claim = holders.claim(&id(name), key(name), words, 10).unwrap();
                    assert_eq!(claim, Claim::Held);
                    // One write: lines of two threads do not mix.
                    std::io::Write::write_all(
                        &mut std::io::stdout().lock(),
                        format!("held {name}\n").as_bytes(),
                    )
                    .unwrap();
                }
            });
        }
    });
    panic!("the threads never end")
}

/// Who holds which ID is nobody else's to write, and no link leads elsewhere.
#[test]
fn nobody_else_may_write_to_the_record() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = tempfile::tempdir().unwrap();
    let mode = |mode| {
        let mode = Permissions::from_mode(mode);
        fs::set_permissions(folder.path(), mode).unwrap();
    };
    drop(Holders::open(folder.path(), LIMITS).unwrap());
    mode(0o770);
    let error = Holders::open(folder.path(), LIMITS).unwrap_err();
    let shown = folder.path().display();
    let exposed = format!("others may write to `{shown}` (mode 0770): `chmod go-w {shown}`");
    assert!(crate::error::chain(&error).ends_with(&exposed), "{error:?}");
    drop(Holders::open_checked(folder.path(), LIMITS, DirectoryCheck::Off).unwrap());
    mode(0o700);
    let (file, elsewhere) = (folder.path().join(FILE), folder.path().join("elsewhere"));
    fs::rename(&file, &elsewhere).unwrap();
    symlink("elsewhere", &file).unwrap();
    let error = Holders::open(folder.path(), LIMITS).unwrap_err();
    let link = "a link is there, and none is followed";
    assert!(crate::error::chain(&error).ends_with(link), "{error:?}");
    drop(Holders::open_checked(folder.path(), LIMITS, DirectoryCheck::Off).unwrap());
}
