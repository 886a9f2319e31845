//! `x509pop`: certificates of every kind of key, beside SPIRE's own attestor.

use crate::run::Run;
use nameplate_peers::{Agent, Spire};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_RSA_SHA256,
    RsaKeySize, SanType, SerialNumber,
};
use std::fs;
use std::path::PathBuf;

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn leaf(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Example");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.serial_number = Some(SerialNumber::from_slice(&[0x0a, 0xbc]));
    params.subject_alt_names = vec![
        SanType::DnsName(format!("{name}.example.org").try_into().unwrap()),
        SanType::IpAddress("127.0.0.1".parse().unwrap()),
        SanType::URI("x509pop://example.org/rack/7".try_into().unwrap()),
    ];
    params
}

/// A root, and an authority below it that signs for the agents.
struct Authorities {
    root: Issuer,
    below: Issuer,
}

impl Authorities {
    fn new() -> Self {
        let root = KeyPair::generate().unwrap();
        let root = CertifiedIssuer::self_signed(authority("root"), root).unwrap();
        let below = KeyPair::generate().unwrap();
        let below = CertifiedIssuer::signed_by(authority("below"), below, &root).unwrap();
        Self { root, below }
    }

    /// Writes a certificate for `key`, and what `x509pop`'s agent is told of it.
    fn issue(&self, run: &mut Run, name: &str, key: &KeyPair) -> String {
        let own = leaf(name).signed_by(key, &self.below).unwrap();
        let at = run.at().to_owned();
        let file = |suffix: &str, text: &str| -> PathBuf {
            let path = at.join(format!("{name}.{suffix}"));
            fs::write(&path, text).unwrap();
            path
        };
        let key = key.serialize_pem();
        let body = key.lines().nth(1).unwrap().to_owned();
        let _kept = run.secret(body);
        let key = file("key", &key);
        let certificate = file("pem", &own.pem());
        let below = file("below.pem", &self.below.pem());
        format!(
            "private_key_path = \"{}\"\ncertificate_path = \"{}\"\nintermediates_path = \"{}\"",
            key.display(),
            certificate.display(),
            below.display()
        )
    }

    fn bundle(&self, run: &Run) -> String {
        let path = run.at().join("agents-ca.pem");
        fs::write(&path, self.root.pem()).unwrap();
        format!("ca_bundle_path = \"{}\"", path.display())
    }
}

/// A key of each kind.
fn keys() -> [(&'static str, KeyPair); 5] {
    let rsa = |size| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size).unwrap();
    let ecdsa = |algorithm| KeyPair::generate_for(algorithm).unwrap();
    [
        ("rsa-2048", rsa(RsaKeySize::_2048)),
        ("rsa-4096", rsa(RsaKeySize::_4096)),
        ("p-256", ecdsa(&PKCS_ECDSA_P256_SHA256)),
        ("p-384", ecdsa(&PKCS_ECDSA_P384_SHA384)),
        ("p-521", ecdsa(&PKCS_ECDSA_P521_SHA512)),
    ]
}

/// What the agents of `stanzas` are given, each of them in turn.
fn attested(run: &mut Run, spire: &Spire, stanzas: &[String]) -> Vec<Agent> {
    let mut agents = Vec::new();
    for stanza in stanzas {
        let mut agent = spire.start_agent("a", stanza);
        agents.push(spire.agent(&agent.attested()));
        run.heard(&agent.said());
    }
    run.heard(&(spire.said() + &spire.metrics()));
    agents
}

/// Either server gives either agent what SPIRE's gives SPIRE's.
pub(crate) fn have_spires_ids(run: &mut Run) {
    let authorities = Authorities::new();
    let mut stock_agents = Vec::new();
    let mut our_agents = Vec::new();
    for (name, key) in keys() {
        let data = authorities.issue(run, name, &key);
        stock_agents.push(run.x509pop(None, &data));
        our_agents.push(run.x509pop(Some("agent"), &data));
    }
    let bundle = authorities.bundle(run) + "\nverify_client_ip = true";
    let server = run.x509pop(None, &bundle);
    let spire = run.spire("x509pop: stock and stock, every kind of key", &server);
    let stock = attested(run, &spire, &stock_agents);
    for agent in &stock {
        assert!(agent.can_reattest);
        // Name, two authorities, serial number and a URI.
        assert_eq!(agent.selectors.len(), 5, "{agent:?}");
    }
    eprintln!("  our agents on it");
    assert_eq!(attested(run, &spire, &our_agents), stock);
    drop(spire);

    let server = run.x509pop(Some("server"), &bundle);
    let spire = run.spire("x509pop: our server, stock agents", &server);
    assert_eq!(attested(run, &spire, &stock_agents), stock);
    eprintln!("  our agents on it");
    assert_eq!(attested(run, &spire, &our_agents), stock);
}

/// SPIFFE mode: SVIDs of the trust domain are evidence, and nothing else is.
pub(crate) fn of_spires_own_authority(run: &mut Run) {
    let data = "mode = \"spiffe\"";
    let mut given = Vec::new();
    for side in [None, Some("server")] {
        let server = run.x509pop(side, data);
        let step = "x509pop: an SVID of the trust domain";
        let spire = run.spire(step, &server);
        let at = run.at_spire();
        let mut minted = |path: &str, directory: &str| {
            let directory = at.join(directory);
            spire.mint(&format!("spiffe://example.org{path}"), &directory);
            let key = fs::read_to_string(directory.join("key.pem")).unwrap();
            let _kept = run.secret(key.lines().nth(1).unwrap().to_owned());
            let directory = directory.display();
            run.x509pop(
                None,
                &format!(
                    "private_key_path = \"{directory}/key.pem\"\n\
                     certificate_path = \"{directory}/svid.pem\""
                ),
            )
        };
        let agent = minted("/spire-exchange/rack/7", "agent");
        let elsewhere = minted("/workload", "workload");
        let mut agents = attested(run, &spire, &[agent]);
        let mut agent = agents.remove(0);
        assert_eq!(agent.path, "/spire/agent/x509pop/rack/7");
        // Serial number and authority are the certificate's, which is new.
        agent
            .selectors
            .retain(|selector| selector.starts_with("subject:"));
        given.push(agent);

        if side.is_some() {
            let agent = spire.start_agent("b", &elsewhere);
            let reason = spire.refused(0);
            assert_eq!(reason, "svid_prefix");
            run.heard(&agent.said());
        }
        run.heard(&(spire.said() + &spire.metrics()));
    }
    let [stock, ours]: [Agent; 2] = given.try_into().unwrap();
    assert_eq!(ours, stock);
}

/// An agent is a workload of another, whose Workload API gives it its SVID.
pub(crate) fn of_another_spires_agent(run: &mut Run) {
    let mut given = Vec::new();
    for side in [None, Some("server")] {
        let server = run.x509pop(side, "mode = \"spiffe\"");
        let spire = run.spire("x509pop: an SVID from the Workload API", &server);
        let directory = run.at_spire().join("minted");
        spire.mint("spiffe://example.org/spire-exchange/first", &directory);
        let key = fs::read_to_string(directory.join("key.pem")).unwrap();
        let _kept = run.secret(key.lines().nth(1).unwrap().to_owned());
        let directory = directory.display();
        let stanza = run.x509pop(
            None,
            &format!(
                "private_key_path = \"{directory}/key.pem\"\n\
                 certificate_path = \"{directory}/svid.pem\""
            ),
        );
        let mut first = spire.start_agent("first", &stanza);
        spire.register(&first.attested(), "/spire-exchange/rack/8");
        first.fetches("/spire-exchange/rack/8");
        for ours in [None, Some("agent")] {
            let socket = first.socket();
            let data = format!("spiffe_endpoint_socket = \"unix://{socket}\"");
            let stanza = run.x509pop(ours, &data);
            let mut agent = spire.start_agent("second", &stanza);
            let mut attested = spire.agent(&agent.attested());
            run.heard(&agent.said());
            // The certificate's, which may be renewed in between.
            attested
                .selectors
                .retain(|selector| !selector.starts_with("serialnumber:"));
            given.push(attested);
        }
        run.heard(&(spire.said() + &first.said()));
    }
    let [stock, our_agent, our_server, ours]: [Agent; 4] = given.try_into().unwrap();
    assert_eq!(stock.path, "/spire/agent/x509pop/rack/8");
    assert_eq!(our_agent.path, stock.path);
    assert_eq!(our_agent.selectors, stock.selectors);
    assert_eq!(ours, our_server);
    assert_eq!(ours.path, stock.path);
}

/// By our server, which says why.
pub(crate) fn are_refused(run: &mut Run) {
    let (trusted, other) = (Authorities::new(), Authorities::new());
    let key = KeyPair::generate().unwrap();
    let foreign = other.issue(run, "foreign", &key);
    let agent = run.x509pop(None, &foreign);
    let bundle = trusted.bundle(run);
    let server = run.x509pop(Some("server"), &bundle);
    let reason = run.refuse("x509pop: another authority's certificate", &server, &agent);
    assert_eq!(reason, "chain_untrusted");
}
