//! Who asked for a node's certificate, and what proves on which node that was.

use super::*;

/// A world whose request was made by `username`, with this recorded of it.
fn asked_by(username: &str, recorded: &[(&str, &str)]) -> World {
    let mut world = World::new();
    let request = world.api.request.as_mut().unwrap();
    request.username = username.to_owned();
    request.extra = extra(recorded);
    world
}

const AGENT: &str = "system:serviceaccount:spire:spire-agent";

/// Kubernetes before 1.30 records a token's pod, and not its node.
fn asked_by_pod() -> World {
    let mut world = asked_by(AGENT, &[("pod-name", "agent-1"), ("pod-uid", "pod-uid")]);
    world.api.pod = Ok(PodRecord {
        uid: Some("pod-uid".to_owned()),
        service_account: Some("spire-agent".to_owned()),
        node_name: Some("node-7".to_owned()),
        ..PodRecord::default()
    });
    world
}

fn unproven(username: &str) -> (&'static str, String) {
    (
        "requester_node_unproven",
        format!("the node of `{username}`, which asked for the certificate, is not proven"),
    )
}

#[test]
fn a_pod_that_is_recorded_without_its_node_is_read() {
    let world = asked_by_pod();
    let proven = world.attested(world.rule(), Some(json!(REQUEST))).unwrap();
    // What was recorded stays what it is.
    let requester = proven.requester.unwrap();
    assert_eq!(requester.pod.unwrap().name, "agent-1");
    assert_eq!(requester.node, None);
    assert_eq!(proven.node.unwrap().uid.as_deref(), Some("node-uid"));

    let wrong = |change: &dyn Fn(&mut PodRecord)| {
        let mut world = asked_by_pod();
        change(world.api.pod.as_mut().unwrap());
        world.refused()
    };
    let another = "pod `agent-1` is not the one that asked for the certificate: the UID is another";
    let account = "pod `agent-1` runs as another service account than the one that asked";
    let nowhere = "pod `agent-1`, which asked for the certificate, runs on no node";
    for (change, reason, text) in [
        (
            &(|pod: &mut PodRecord| pod.node_name = Some("node-8".to_owned()))
                as &dyn Fn(&mut PodRecord),
            "requester_elsewhere",
            "certificate names node `node-7`, and was asked for from node `node-8`",
        ),
        (
            &|pod| pod.uid = Some("of-its-successor".to_owned()),
            "requester_pod_mismatch",
            another,
        ),
        (&|pod| pod.uid = None, "requester_pod_mismatch", another),
        (
            &|pod| pod.uid = Some(String::new()),
            "requester_pod_mismatch",
            another,
        ),
        (
            &|pod| pod.service_account = Some("default".to_owned()),
            "requester_pod_account_mismatch",
            account,
        ),
        (
            &|pod| pod.service_account = None,
            "requester_pod_account_mismatch",
            account,
        ),
        (
            &|pod| pod.node_name = None,
            "requester_pod_not_scheduled",
            nowhere,
        ),
        (
            &|pod| pod.node_name = Some(String::new()),
            "requester_pod_not_scheduled",
            nowhere,
        ),
    ] {
        assert_eq!(wrong(change), (reason, text.to_owned()));
    }
}

#[test]
fn a_pod_that_is_gone_refuses_and_no_answer_is_no_verdict() {
    let mut world = asked_by_pod();
    world.api.pod = Err(ApiError::NotFound {
        message: "gone".to_owned(),
    });
    let gone = "pod `agent-1`, which asked for the certificate, is not there";
    assert_eq!(world.refused(), ("requester_pod_gone", gone.to_owned()));
    world.api.pod = Err(ApiError::Forbidden {
        message: "no `get` on pods".to_owned(),
    });
    assert_eq!(world.refused().0, "api_forbidden");
    let error = world
        .attested(world.rule(), Some(json!(REQUEST)))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "no verdict on the certificate: the pod cannot be read"
    );
}

/// A pod's name without its UID proves nothing, for another may bear it by now.
#[test]
fn a_pod_without_a_uid_is_nobodys() {
    let mut world = asked_by_pod();
    world.api.request.as_mut().unwrap().extra = extra(&[("pod-name", "agent-1")]);
    assert_eq!(world.refused().0, "requester_pod_mismatch");
    world.api.pod.as_mut().unwrap().uid = None;
    assert_eq!(world.refused().0, "requester_pod_mismatch");
}

#[test]
fn a_requester_that_is_on_no_known_node_names_none() {
    for username in [
        // A legacy token, or one that is bound to nothing.
        AGENT,
        "kubernetes-admin",
        "system:bootstrap:07401b",
        "system:anonymous",
    ] {
        let mut world = asked_by(username, &[]);
        assert_eq!(world.refused(), unproven(username));
        // Only where the operator says so.
        world.allow_requester_without_node = true;
        let proven = world.attested(world.rule(), Some(json!(REQUEST))).unwrap();
        assert_eq!(proven.requester.unwrap().username, username);
    }
    // A pod is of a service account's token, and of nobody else's.
    let world = asked_by(
        "kubernetes-admin",
        &[("pod-name", "agent-1"), ("pod-uid", "pod-uid")],
    );
    assert_eq!(world.refused(), unproven("kubernetes-admin"));
}

/// What an operator allows is no more than that nothing is known.
#[test]
fn a_requester_that_is_elsewhere_is_refused_whatever_is_allowed() {
    for (username, recorded) in [
        (AGENT, &[("node-name", "node-8")][..]),
        ("kubernetes-admin", &[("node-name", "node-8")]),
        ("system:node:node-8", &[]),
        ("system:node:node-8", &[("node-name", "node-7")]),
    ] {
        for allow in [false, true] {
            let mut world = asked_by(username, recorded);
            world.allow_requester_without_node = allow;
            assert_eq!(world.refused().0, "requester_elsewhere", "{username}");
        }
    }
}

#[test]
fn a_node_is_one_by_its_name_and_its_group() {
    let renewed_by = |groups: &[&str]| {
        let mut world = asked_by("system:node:node-7", &[]);
        let request = world.api.request.as_mut().unwrap();
        request.groups = groups.iter().map(|group| (*group).to_owned()).collect();
        world
            .attested(world.rule(), Some(json!(REQUEST)))
            .map(|proven| proven.requester.unwrap().username)
            .map_err(|error| error.reason())
    };
    assert_eq!(
        renewed_by(&["system:nodes", "system:authenticated"]).unwrap(),
        "system:node:node-7"
    );
    for groups in [&[][..], &["system:authenticated"], &["system:nodes:x"]] {
        assert_eq!(renewed_by(groups), Err("requester_node_unproven"));
    }
}

#[test]
fn the_name_of_a_service_account_has_a_namespace_and_a_name() {
    for username in [
        "system:serviceaccount:",
        "system:serviceaccount:spire",
        "system:serviceaccount::spire-agent",
        "system:serviceaccount:spire:",
        "system:serviceaccount:spire:spire-agent:x",
        "system:serviceaccount:../nodes:spire-agent",
        "system:serviceaccount:a.b:spire-agent",
        "system:serviceaccount:Spire:spire-agent",
        "system:serviceaccount:spire:spire_agent",
    ] {
        for allow in [false, true] {
            let mut world = asked_by(username, &[("node-name", "node-7")]);
            world.allow_requester_without_node = allow;
            let malformed = "`spec.username` of the CertificateSigningRequest is malformed";
            let refused = ("request_malformed", malformed.to_owned());
            assert_eq!(world.refused(), refused, "{username}");
        }
    }
    // The name of a pod becomes part of a path, too.
    let world = asked_by(AGENT, &[("pod-name", "../nodes"), ("pod-uid", "u")]);
    assert_eq!(
        world.refused(),
        (
            "request_malformed",
            "`authentication.kubernetes.io/pod-name` of the CertificateSigningRequest is malformed"
                .to_owned()
        )
    );
}
