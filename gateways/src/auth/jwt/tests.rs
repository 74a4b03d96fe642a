//! Tokens as attackers make them (RFC 8725 §2), against keys made here, and the examples of the
//! specifications.

use std::sync::Arc;
use std::time::Duration;

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use serde_json::{Value, json};

use super::issuer::Issuer;
use super::*;
use crate::auth::BearerVerdict;
use crate::auth::testkit::WebService;

const ISSUER: &str = "https://id.example.org/realm";
const NOW: i64 = 1_800_000_000;

/// The key of RFC 7515, appendix A.2.1: ring makes none of its kind.
const N: &str = "\
    ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1\
    Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpa\
    SHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4\
    LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const D: &str = "\
    Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwV\
    ol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzj\
    kn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaF\
    QT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ";
const P: &str = "\
    4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0H\
    w_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc";
const Q: &str = "\
    uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7T\
    jeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc";
const DP: &str = "\
    BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-F\
    OKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0";
const DQ: &str = "\
    h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do\
    9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU";
const QI: &str = "\
    IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3yd\
    y5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U";

/// Who signs.
enum Signer {
    Rsa(Box<RsaKeyPair>),
    P256(Box<EcdsaKeyPair>, SystemRandom),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    fn rsa() -> Self {
        let part = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let pair = RsaKeyPair::from_components(&ring::rsa::KeyPairComponents {
            public_key: ring::rsa::PublicKeyComponents {
                n: part(N),
                e: part("AQAB"),
            },
            d: part(D),
            p: part(P),
            q: part(Q),
            dP: part(DP),
            dQ: part(DQ),
            qInv: part(QI),
        });
        Self::Rsa(Box::new(pair.unwrap()))
    }

    fn p256() -> Self {
        let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let made = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(kind, made.as_ref(), &random).unwrap();
        Self::P256(Box::new(pair), random)
    }

    fn ed25519() -> Self {
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed25519(Ed25519KeyPair::from_pkcs8(made.as_ref()).unwrap())
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(..) => "ES256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(_) => json!({"kty": "RSA", "kid": kid, "n": N, "e": "AQAB", "use": "sig"}),
            Self::P256(pair, _) => {
                let point = pair.public_key().as_ref();
                let (x, y) = (encode(&point[1..33]), encode(&point[33..]));
                json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": x, "y": y, "alg": "ES256"})
            }
            Self::Ed25519(pair) => {
                let x = encode(pair.public_key().as_ref());
                json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x, "key_ops": ["verify"]})
            }
        }
    }

    fn sign(&self, text: &str) -> Vec<u8> {
        let text = text.as_bytes();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let random = SystemRandom::new();
                pair.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature)
                    .unwrap();
                signature
            }
            Self::P256(pair, random) => pair.sign(random, text).unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(text).as_ref().to_vec(),
        }
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let signed = unsigned(header, claims);
        format!("{signed}.{}", encode(&self.sign(&signed)))
    }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| encode(value.to_string().as_bytes());
    format!("{}.{}", part(header), part(claims))
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "klatsch", "sub": "7", "exp": NOW + 300, "iat": NOW,
        "email": "John.Doe@example.org", "email_verified": true,
    })
}

fn with(mut value: Value, name: &str, other: Value) -> Value {
    value[name] = other;
    value
}

fn set(keys: &[Value]) -> KeySet {
    KeySet::read(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn expected() -> Expected {
    Expected {
        issuer: ISSUER.to_owned(),
        audience: vec!["klatsch".to_owned(), "chat.example.org".to_owned()],
    }
}

fn verify(token: &str, keys: &KeySet) -> Result<String, BadToken> {
    let account = Parts::read(token)?.verify(keys, &expected(), Timestamp::from_seconds(NOW))?;
    Ok(account.as_str().to_owned())
}

fn good() -> Result<String, BadToken> {
    Ok("john.doe@example.org".to_owned())
}

#[test]
fn token_of_each_algorithm_is_its_owners() {
    let signers = [Signer::rsa(), Signer::p256(), Signer::ed25519()];
    let keys: Vec<Value> = (0..)
        .zip(&signers)
        .map(|(n, it)| it.jwk(&format!("k{n}")))
        .collect();
    let keys = set(&keys);
    for (n, signer) in signers.iter().enumerate() {
        let header = json!({"alg": signer.algorithm(), "kid": format!("k{n}"), "typ": "JWT"});
        assert_eq!(verify(&signer.token(&header, &claims()), &keys), good());
        // Without a name every key is tried that is for the algorithm.
        let unnamed = json!({"alg": signer.algorithm(), "typ": "application/at+jwt"});
        assert_eq!(verify(&signer.token(&unnamed, &claims()), &keys), good());
        let other = json!({"alg": signer.algorithm(), "kid": format!("k{}", (n + 1) % 3)});
        let verdict = verify(&signer.token(&other, &claims()), &keys);
        assert_eq!(verdict, Err(BadToken::Signature));
    }
}

#[test]
fn examples_of_the_specifications_are_signed_by_their_keys() {
    // RFC 7515 A.2 and A.3 (the same payload), RFC 8037 A.4.
    let payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let p256 = json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let ed25519 = json!({
        "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    let keys = set(&[Signer::rsa().jwk("a"), p256, ed25519]);
    for (algorithm, signed, signature) in [
        (
            Algorithm::Es256,
            format!("eyJhbGciOiJFUzI1NiJ9.{payload}"),
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        (
            Algorithm::EdDsa,
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".to_owned(),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ] {
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let verdict = keys.verify(algorithm, None, signed.as_bytes(), &signature);
        assert_eq!(verdict, Ok(()), "{algorithm:?}");
        let verdict = keys.verify(algorithm, None, &signed.as_bytes()[1..], &signature);
        assert_eq!(verdict, Err(BadToken::Signature), "{algorithm:?}");
    }
}

#[test]
fn rfc_8725_public_key_is_no_secret_and_no_signature_is_none() {
    let rsa = Signer::rsa();
    let keys = set(&[rsa.jwk("k")]);
    let secret = serde_json::to_vec(&rsa.jwk("k")).unwrap();
    for alg in ["HS256", "HS384", "HS512"] {
        let signed = unsigned(&json!({"alg": alg, "kid": "k"}), &claims());
        let mac = ring::hmac::sign(
            &ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret),
            signed.as_bytes(),
        );
        let token = format!("{signed}.{}", encode(mac.as_ref()));
        assert_eq!(verify(&token, &keys), Err(BadToken::Kind), "{alg}");
    }
    for alg in [
        "none", "None", "NONE", "nOnE", "", "RS256 ", "rs256", "RS384", "PS256", "ES256K",
    ] {
        let signed = unsigned(&json!({"alg": alg, "kid": "k"}), &claims());
        assert_eq!(
            verify(&format!("{signed}."), &keys),
            Err(BadToken::Kind),
            "{alg}"
        );
    }
    // Without its signature, with another's, with one in another form.
    let token = rsa.token(&json!({"alg": "RS256", "kid": "k"}), &claims());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    assert_eq!(
        verify(&format!("{signed}."), &keys),
        Err(BadToken::Signature)
    );
    let other = encode(&Signer::p256().sign(signed));
    assert_eq!(
        verify(&format!("{signed}.{other}"), &keys),
        Err(BadToken::Signature)
    );
    for form in [
        format!("{signature}="),
        signature.replace(['-', '_'], "+"),
        format!(" {signature}"),
    ] {
        assert_eq!(
            verify(&format!("{signed}.{form}"), &keys),
            Err(BadToken::Malformed)
        );
    }
}

#[test]
fn rfc_8725_algorithm_follows_from_the_key() {
    let (rsa, p256) = (Signer::rsa(), Signer::p256());
    let keys = set(&[rsa.jwk("r"), p256.jwk("e")]);
    // What one key has signed, said to be the other's or of the other's kind.
    for (header, signer) in [
        (json!({"alg": "ES256", "kid": "r"}), &rsa),
        (json!({"alg": "RS256", "kid": "e"}), &p256),
        (json!({"alg": "EdDSA", "kid": "e"}), &p256),
    ] {
        let verdict = verify(&signer.token(&header, &claims()), &keys);
        assert_eq!(verdict, Err(BadToken::Signature), "{header}");
    }
}

#[test]
fn rfc_8725_token_does_not_say_where_its_key_is() {
    let (ours, theirs) = (Signer::p256(), Signer::p256());
    let keys = set(&[ours.jwk("k")]);
    let own = theirs.jwk("own");
    for header in [
        json!({"alg": "ES256", "kid": "own", "jwk": own}),
        json!({"alg": "ES256", "kid": "own", "jku": "https://evil.example/keys"}),
        json!({"alg": "ES256", "kid": "own", "x5u": "http://169.254.169.254/"}),
        json!({"alg": "ES256", "kid": "../../dev/null"}),
        json!({"alg": "ES256", "kid": "k' OR '1'='1"}),
        json!({"alg": "ES256", "kid": "K"}),
        json!({"alg": "ES256", "kid": ""}),
        json!({"alg": "ES256", "kid": "k".repeat(300)}),
    ] {
        let verdict = verify(&theirs.token(&header, &claims()), &keys);
        assert_eq!(verdict, Err(BadToken::UnknownKey), "{header}");
    }
    let header = json!({"alg": "ES256", "kid": "k", "jwk": own, "x5c": ["MIIB"]});
    let verdict = verify(&theirs.token(&header, &claims()), &keys);
    assert_eq!(verdict, Err(BadToken::Signature));
}

#[test]
fn rfc_8725_token_of_another_kind_is_no_login() {
    let signer = Signer::ed25519();
    let keys = set(&[signer.jwk("k")]);
    for header in [
        json!({"alg": "EdDSA", "typ": "logout+jwt"}),
        json!({"alg": "EdDSA", "typ": "dpop+jwt"}),
        json!({"alg": "EdDSA", "typ": "application/secevent+jwt"}),
        json!({"alg": "EdDSA", "typ": "ä".repeat(20)}),
        json!({"alg": "EdDSA", "crit": ["b64"], "b64": false}),
        json!({"alg": "EdDSA", "crit": []}),
    ] {
        let verdict = verify(&signer.token(&header, &claims()), &keys);
        assert_eq!(verdict, Err(BadToken::Kind), "{header}");
    }
}

#[test]
fn rfc_8725_claims_are_ours_and_of_now() {
    let signer = Signer::ed25519();
    let keys = set(&[signer.jwk("k")]);
    let header = json!({"alg": "EdDSA", "kid": "k"});
    for (name, value, expected) in [
        (
            "iss",
            json!("https://id.example.org/realm/"),
            Err(BadToken::Issuer),
        ),
        (
            "iss",
            json!("https://id.example.org/Realm"),
            Err(BadToken::Issuer),
        ),
        (
            "iss",
            json!("https://evil.example/https://id.example.org/realm"),
            Err(BadToken::Issuer),
        ),
        ("aud", json!("webmail"), Err(BadToken::Audience)),
        ("aud", json!("klatsch2"), Err(BadToken::Audience)),
        ("aud", json!([]), Err(BadToken::Audience)),
        ("aud", json!(["webmail", "files"]), Err(BadToken::Audience)),
        ("aud", json!(["webmail", "chat.example.org"]), good()),
        ("exp", json!(NOW - 61), Err(BadToken::Time)),
        ("exp", json!(NOW - 60), Err(BadToken::Time)),
        ("exp", json!(NOW - 59), good()),
        ("exp", json!(1e18), good()),
        ("nbf", json!(NOW + 61), Err(BadToken::Time)),
        ("nbf", json!(NOW + 60), good()),
        ("iat", json!(NOW + 3600), Err(BadToken::Time)),
        ("email_verified", json!(false), Err(BadToken::Nobody)),
        ("email", json!("john.doe"), Err(BadToken::Nobody)),
        ("email", Value::Null, Err(BadToken::Nobody)),
        // What is no claim of this kind is read as none.
        ("exp", json!("1900000000"), Err(BadToken::Malformed)),
        ("exp", Value::Null, Err(BadToken::Malformed)),
        ("aud", json!({"klatsch": true}), Err(BadToken::Malformed)),
        ("iss", json!([ISSUER]), Err(BadToken::Malformed)),
    ] {
        let token = signer.token(&header, &with(claims(), name, value.clone()));
        assert_eq!(verify(&token, &keys), expected, "{name}: {value}");
    }
    for missing in ["iss", "aud", "exp"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(missing);
        let verdict = verify(&signer.token(&header, &claims), &keys);
        assert_eq!(verdict, Err(BadToken::Malformed), "{missing}");
    }
}

#[test]
fn rfc_8725_claim_that_stands_there_twice_is_none() {
    let signer = Signer::ed25519();
    let keys = set(&[signer.jwk("k")]);
    let twice = claims()
        .to_string()
        .replacen('{', r#"{"email":"ceo@example.org","#, 1);
    let signed = format!(
        "{}.{}",
        encode(br#"{"alg":"EdDSA"}"#),
        encode(twice.as_bytes())
    );
    let token = format!("{signed}.{}", encode(&signer.sign(&signed)));
    assert_eq!(verify(&token, &keys), Err(BadToken::Malformed));
}

#[test]
fn rfc_8725_what_is_no_signed_token_is_refused_without_a_look_at_keys() {
    let signer = Signer::ed25519();
    let keys = set(&[signer.jwk("k")]);
    let inner = signer.token(&json!({"alg": "EdDSA"}), &claims());
    // A token in a token: what is inside is not looked at.
    let signed = format!(
        "{}.{}",
        encode(br#"{"alg":"EdDSA","cty":"JWT"}"#),
        encode(inner.as_bytes())
    );
    let nested = format!("{signed}.{}", encode(&signer.sign(&signed)));
    let deep = encode(format!("{}1{}", "[".repeat(3000), "]".repeat(3000)).as_bytes());
    for token in [
        String::new(),
        "..".to_owned(),
        "a.b".to_owned(),
        "a.b.c.d.e".to_owned(),
        format!("{inner}.x"),
        format!("{}.{}", inner, "A".repeat(TOKEN_BYTES_MAX)),
        format!("{deep}.{deep}.AA"),
        nested,
        "é.é.é".to_owned(),
        format!("{}.e30.AA", encode(b"{}")),
        format!("{}.e30.AA", encode(br#"{"alg":["EdDSA"]}"#)),
        format!("{}.e30.AA", encode(b"\xff\xfe")),
    ] {
        assert_eq!(verify(&token, &keys), Err(BadToken::Malformed), "{token}");
    }
}

#[test]
fn keys_that_cannot_be_used_are_passed_over() {
    let good = Signer::p256().jwk("good");
    for bad in [
        json!("key"),
        json!({"kty": "oct", "k": "AAAA", "kid": "bad"}),
        json!({"kty": "RSA", "kid": "bad", "n": "AQAB", "e": "AQAB"}),
        json!({"kty": "RSA", "kid": "bad", "n": N, "e": ""}),
        json!({"kty": "RSA", "kid": "bad", "n": N, "e": "AQAB", "use": "enc"}),
        json!({"kty": "RSA", "kid": "bad", "n": N, "e": "AQAB", "alg": "RS512"}),
        json!({"kty": "RSA", "kid": "bad", "n": N, "e": "AQAB", "key_ops": ["encrypt"]}),
        json!({"kty": "EC", "crv": "P-384", "kid": "bad", "x": "AA", "y": "AA"}),
        json!({"kty": "EC", "crv": "P-256", "kid": "bad", "x": "AA", "y": "AA"}),
        json!({"kty": "OKP", "crv": "X25519", "kid": "bad", "x": good["x"]}),
    ] {
        let keys = set(&[bad.clone(), good.clone()]);
        assert!(keys.has(Some("good")) && !keys.has(Some("bad")), "{bad}");
    }
    for nonsense in ["", "[]", "{}", r#"{"keys":{}}"#, "<html>"] {
        assert_eq!(KeySet::read(nonsense.as_bytes()), None, "{nonsense}");
    }
    let many = vec![good; 10_000];
    assert!(set(&many) == set(&many[..64]));
}

/// A provider that says where its keys are, and what they are.
async fn provider(metadata: impl FnOnce(&str) -> Value, keys: &Value) -> (WebService, Issuer) {
    let found = |body: &Value| {
        let body = body.to_string();
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let keys = found(keys);
    let web = WebService::start_with(move |_| keys.clone()).await;
    let base = format!("http://{}", web.address);
    let metadata = found(&metadata(&base));
    web.answers("GET /.well-known/openid-configuration ", metadata);
    let expected = Expected {
        issuer: base,
        audience: vec!["klatsch".to_owned()],
    };
    let issuer = Issuer::new(expected, &[], Duration::from_secs(2)).unwrap();
    (web, issuer)
}

fn fresh(issuer: &str) -> Value {
    let now = klatsch_actors::world::now().micros() / 1_000_000;
    let claims = with(claims(), "iss", json!(issuer));
    with(with(claims, "exp", json!(now + 60)), "iat", json!(now))
}

fn usual(base: &str) -> Value {
    json!({"issuer": base, "jwks_uri": format!("{base}/keys")})
}

#[tokio::test]
async fn keys_are_found_by_the_issuer_and_asked_for_once_for_all() {
    let signer = Signer::p256();
    let (web, issuer) = provider(usual, &json!({"keys": [signer.jwk("k")]})).await;
    let issuer = Arc::new(issuer);
    let base = format!("http://{}", web.address);
    let token = signer.token(&json!({"alg": "ES256", "kid": "k"}), &fresh(&base));
    let logins = (0..20).map(|_| {
        let (issuer, token) = (Arc::clone(&issuer), token.clone());
        tokio::spawn(async move { issuer.check(&token).await })
    });
    let john = BareJid::parse("john.doe@example.org").unwrap();
    for login in logins.collect::<Vec<_>>() {
        assert_eq!(login.await.unwrap(), BearerVerdict::Of(john.clone()));
    }
    assert_eq!(web.heard().len(), 2);
    // Names that somebody makes up do not have them asked for again within the minute.
    for kid in ["a", "b", "c"] {
        let made_up = signer.token(&json!({"alg": "ES256", "kid": kid}), &fresh(&base));
        assert_eq!(issuer.check(&made_up).await, BearerVerdict::Unknown);
    }
    assert_eq!(web.heard().len(), 2);
}

#[tokio::test]
async fn provider_that_is_another_or_leads_elsewhere_is_not_believed() {
    let signer = Signer::p256();
    let keys = json!({"keys": [signer.jwk("k")]});
    let metadata: [fn(&str) -> Value; 4] = [
        |base| json!({"issuer": format!("{base}/"), "jwks_uri": format!("{base}/keys")}),
        |base| json!({"issuer": "https://other.example", "jwks_uri": format!("{base}/keys")}),
        |base| json!({"issuer": base, "jwks_uri": "file:///etc/passwd"}),
        |base| json!({"issuer": base}),
    ];
    for metadata in metadata {
        let (web, issuer) = provider(metadata, &keys).await;
        let base = format!("http://{}", web.address);
        let token = signer.token(&json!({"alg": "ES256", "kid": "k"}), &fresh(&base));
        assert_eq!(issuer.check(&token).await, BearerVerdict::Unavailable);
        // What failed is not tried with every login.
        assert_eq!(issuer.check(&token).await, BearerVerdict::Unavailable);
        assert_eq!(web.heard().len(), 1);
    }
}

#[tokio::test]
async fn redirect_of_a_provider_is_not_followed() {
    let elsewhere = WebService::start("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
    let address = elsewhere.address;
    let answer =
        format!("HTTP/1.1 302 Found\r\nLocation: http://{address}/\r\nContent-Length: 0\r\n\r\n");
    let web = WebService::start_with(move |_| answer.clone()).await;
    let expected = Expected {
        issuer: format!("http://{}", web.address),
        audience: vec!["klatsch".to_owned()],
    };
    let issuer = Issuer::new(expected, &[], Duration::from_secs(2)).unwrap();
    let token = Signer::p256().token(&json!({"alg": "ES256"}), &claims());
    assert_eq!(issuer.check(&token).await, BearerVerdict::Unavailable);
    assert!(elsewhere.heard().is_empty());
}
