//! `spire-server validate` on good and bad configurations.

use crate::Subject;
use crate::run::Run;
use nameplate_peers::Spire;

pub(crate) fn is_validated(run: &Run, subject: &Subject) {
    eprintln!("- a configuration is validated");
    let good = run.our_server("k8s_psat", &subject.local);
    let said = Spire::validate(&run.bin, run.at(), &good);
    assert!(said.status.success(), "{said:?}");
    let bad = good.replace("issuer", "isuer");
    let said = Spire::validate(&run.bin, run.at(), &bad);
    assert!(!said.status.success());
    let said = String::from_utf8_lossy(&said.stdout) + String::from_utf8_lossy(&said.stderr);
    assert!(said.contains("did you mean `issuer`?"), "{said}");
}
