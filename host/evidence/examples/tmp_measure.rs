#![allow(warnings, clippy::all)]
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::*;
use base64::Engine as _;
use nameplate_evidence::*;
use std::time::*;
fn main() {
    let e = |b: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(b);
    let kp = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let claims = r#"{"aud":["spire-server"],"exp":1800000600,"iat":1800000000,"iss":"https://oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF","jti":"6ba7b810-9dad-11d1-80b4-00c04fd430c8","kubernetes.io":{"namespace":"spire","node":{"name":"ip-10-0-1-2.eu-central-1.compute.internal","uid":"6ba7b810-9dad-11d1-80b4-00c04fd430c8"},"pod":{"name":"spire-agent-x7k2p","uid":"6ba7b810-9dad-11d1-80b4-00c04fd430c8"},"serviceaccount":{"name":"spire-agent","uid":"6ba7b810-9dad-11d1-80b4-00c04fd430c8"}},"nbf":1800000000,"sub":"system:serviceaccount:spire:spire-agent"}"#;
    let input = format!(
        "{}.{}",
        e(br#"{"alg":"RS256","kid":"0123456789abcdef0123456789abcdef01234567"}"#),
        e(claims.as_bytes())
    );
    let mut sig = vec![0; 256];
    kp.sign(
        &RSA_PKCS1_SHA256,
        &aws_lc_rs::rand::SystemRandom::new(),
        input.as_bytes(),
        &mut sig,
    )
    .unwrap();
    let token = format!("{input}.{}", e(&sig));
    println!("claims {} token {}", claims.len(), token.len());
    let pem = format!(
        "-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n",
        base64::engine::general_purpose::STANDARD.encode(kp.public_key().as_ref())
    );
    let v = TokenVerifier::new([ClusterTrust {
        name: "production".into(),
        keys: KeySet::from_pem(pem.as_bytes()).unwrap(),
        allowed: vec!["spire:spire-agent".parse().unwrap()],
        issuer: Some(
            "https://oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
                .into(),
        ),
        audience: vec!["spire-server".into()],
        leeway: Duration::ZERO,
        allow_unexpiring_tokens: false,
        ca_thumbprint: Some("a".repeat(64)),
    }]);
    let raw =
        RawEvidence::service_account_token(Method::K8sSat, "production", &token, None).unwrap();
    let now = UNIX_EPOCH + Duration::from_secs(1800000100);
    let parsed =
        ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, kp.public_key().as_ref()).unwrap();
    let med = |f: &mut dyn FnMut()| {
        let mut t: Vec<_> = (0..200)
            .map(|_| {
                let s = Instant::now();
                for _ in 0..100 {
                    f()
                }
                s.elapsed().as_nanos() as f64 / 100e3
            })
            .collect();
        t.sort_by(f64::total_cmp);
        t[20]
    };
    for _ in 0..3 {
        let a = med(&mut || parsed.verify_sig(input.as_bytes(), &sig).unwrap());
        let b = med(&mut || {
            std::hint::black_box(v.verify(&raw, now).unwrap());
        });
        let c = med(&mut || {
            std::hint::black_box(aws_lc_rs::digest::digest(
                &aws_lc_rs::digest::SHA256,
                token.as_bytes(),
            ));
        });
        let d = med(&mut || {
            std::hint::black_box(
                base64::engine::general_purpose::URL_SAFE_NO_PAD
                    .decode(e(claims.as_bytes()))
                    .unwrap(),
            );
        });
        let t: serde_json::Value = serde_json::from_str(claims).unwrap();
        let f = med(&mut || {
            std::hint::black_box(serde_json::from_str::<serde_json::Value>(claims).unwrap());
        });
        println!(
            "raw {a:.2} verify {b:.2} diff {:.2} ratio {:.3} | sha {c:.2} b64 enc+dec {d:.2} value {f:.2}",
            b - a,
            b / a
        );
    }
}
