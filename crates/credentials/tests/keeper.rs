//! Keys of every kind, from a server that checks what it is asked as Alibaba Cloud documents it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rocketbridge_credentials::testing::{ACCESS_KEY, INSTANCE_ROLE, Issuer, PROVIDER, ROLE, SECRET_KEY};
use rocketbridge_credentials::{Code, Keeper, Keepers};
use rocketbridge_model::Secret;
use rocketbridge_model::resolved::{AssumedRole, Credentials, FederatedRole, InstanceRole, KeyFile, Keys, RocketMqConnection, Role};
use rocketbridge_network::{Egress, Rules};
use rocketbridge_runtime::{Shutdown, Tasks};
use rocketbridge_secrets::Secrets;

const HOUR: Duration = Duration::from_secs(3_600);

fn role(issuer: &Issuer) -> Role {
    Role {
        endpoint: issuer.endpoint(),
        role_arn: ROLE.to_owned(),
        session: "rocketbridge".to_owned(),
        life: HOUR,
        policy: r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"mq:*","Resource":"* ~+é"}]}"#.to_owned(),
    }
}

fn sts(issuer: &Issuer, secret_key: &str) -> Credentials {
    Credentials::Sts(AssumedRole {
        role: role(issuer),
        external_id: "external/1".to_owned(),
        access_key: ACCESS_KEY.to_owned(),
        secret_key: Secret::new(secret_key),
    })
}

fn file(path: &Path) -> Secret {
    Secret::new(format!("file:{}", path.display()))
}

fn oidc(issuer: &Issuer, token: &Path) -> Credentials {
    Credentials::Oidc(FederatedRole { role: role(issuer), provider_arn: PROVIDER.to_owned(), token: file(token) })
}

fn keepers() -> Keepers {
    Keepers::new(Tasks::new(Shutdown::new()), Arc::new(Egress::default().following(Secrets::own())))
}

fn connection(credentials: Credentials) -> RocketMqConnection {
    RocketMqConnection { credentials: Some(credentials), ..RocketMqConnection::default() }
}

fn keeper(credentials: Credentials) -> Keeper {
    keepers().keeper(&connection(credentials)).expect("credentials")
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("in vain: {what}");
}

/// Puts a file in the place of another at once, as whoever refreshes one should.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).expect("written");
    std::fs::rename(&beside, path).expect("renamed");
}

/// *Scenario*: a hundred uses of a role at once, by connections of their own with the same settings. *Guarantees*: one signed request, one set of keys for all.
#[tokio::test]
async fn a_role_is_assumed_once_for_all_who_use_it() {
    let issuer = Issuer::start(HOUR).await;
    let keepers = keepers();
    let uses = (0..100).map(|_| {
        let keeper = keepers.keeper(&connection(sts(&issuer, SECRET_KEY))).expect("credentials");
        async move { keeper.current().await.expect("keys") }
    });
    let tokens = futures::future::join_all(uses).await;
    assert!(tokens.iter().all(|token| token.access_key == "STS.00000000" && token.security_token.expose() == "issued-token-0"));
    assert_eq!(issuer.requests(), ["AssumeRole"]);
    let life = tokens[0].end.expect("they end").duration_since(tokio::time::Instant::now());
    assert!(life > HOUR - Duration::from_secs(20) && life <= HOUR, "{life:?}");
}

/// *Scenario*: keys of one second, used for five. *Guarantees*: whoever asks always gets keys that live, an issue costs one request, and there are
/// no more of them than lives need.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_replaced_before_they_end() {
    let life = Duration::from_secs(1);
    let issuer = Issuer::start(life).await;
    let keeper = keeper(sts(&issuer, SECRET_KEY));
    let end = tokio::time::Instant::now() + Duration::from_secs(5);
    while tokio::time::Instant::now() < end {
        let token = keeper.current().await.expect("keys");
        assert!(token.is_alive(tokio::time::Instant::now()));
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    let count = issuer.requests().len();
    assert!((5..=12).contains(&count), "{count} requests in five lives");
    assert_eq!(keeper.concern(), None);
}

/// *Scenario*: an issuer whose clock is two hours ahead. *Guarantees*: its keys live as long as it says by its own clock; they are not asked for again.
#[tokio::test]
async fn a_clock_that_is_wrong_does_not_shorten_a_life() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    replace(&token, "oidc-token\n");
    let issuer = Issuer::start(HOUR).await;
    issuer.put_ahead(Duration::from_secs(600));
    let token = keeper(oidc(&issuer, &token)).current().await.expect("keys");
    let life = token.end.expect("they end").duration_since(tokio::time::Instant::now());
    assert!(life > HOUR - Duration::from_secs(20) && life <= HOUR, "{life:?}");
}

/// *Scenario*: a projected token that is replaced by another, after which only that one counts. *Guarantees*: it is read anew each time; a refusal is told
/// without a word of the token, although the server repeats it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_projected_token_is_read_each_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    replace(&path, "oidc-token");
    let issuer = Issuer::start(Duration::from_millis(500)).await;
    let keeper = keeper(oidc(&issuer, &path));
    assert_eq!(keeper.current().await.expect("keys").access_key, "STS.00000000");
    issuer.take_token("another-token");
    // On a busy machine keys of so short a life may also be told to have ended before they came.
    let refused = "answered 400 AuthenticationFail.OIDCToken.Invalid: bad token ******";
    until(refused, || keeper.concern().is_some_and(|concern| concern.contains(refused))).await;
    replace(&path, "another-token");
    until("keys come again", || keeper.concern().is_none()).await;
    assert_ne!(keeper.current().await.expect("keys").access_key, "STS.00000000");
}

/// *Scenario*: the role of an instance, by name and found out. *Guarantees*: every question goes with the token of the hardened mode.
#[tokio::test]
async fn an_instance_role_is_asked_for_in_the_hardened_mode() {
    let issuer = Issuer::start(HOUR).await;
    for name in [INSTANCE_ROLE, ""] {
        let role = InstanceRole { endpoint: issuer.endpoint(), role: name.to_owned() };
        let token = keeper(Credentials::InstanceRole(role)).current().await.expect("keys");
        assert!(token.access_key.starts_with("STS."));
    }
    let roles = "GET /latest/meta-data/ram/security-credentials/";
    let (token, role) = ("PUT /latest/api/token".to_owned(), format!("{roles}{INSTANCE_ROLE}"));
    assert_eq!(issuer.requests(), [token.clone(), role.clone(), token, roles.to_owned(), role]);
}

/// *Scenario*: the metadata service's own address, and a process that does not allow it. *Guarantees*: nothing is dialled, and the way out is named.
#[tokio::test]
async fn a_metadata_service_is_dialled_only_where_it_is_allowed() {
    let issuer = Issuer::start(HOUR).await;
    let strict = Keepers::new(Tasks::new(Shutdown::new()), Arc::new(Egress::new(Rules::usual(false)).following(Secrets::own())));
    let role = InstanceRole { endpoint: issuer.endpoint(), role: INSTANCE_ROLE.to_owned() };
    let keeper = strict.keeper(&connection(Credentials::InstanceRole(role))).expect("credentials");
    let error = keeper.current().await.expect_err("not allowed");
    assert_eq!(error.code(), Code::Denied);
    assert!(error.to_string().contains("unless egress.allow names them"), "{error}");
    assert_eq!(issuer.requests(), Vec::<String>::new());
}

/// *Scenario*: an issuer begins to refuse while keys still live, and goes on until they have ended. *Guarantees*: the keys are used to their end, what is wrong
/// and when they end is told from the first failure on, it is tried again at growing pauses, and everything is well again by itself. No secret is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_issuer_is_told_long_before_the_keys_end() {
    let issuer = Issuer::start(Duration::from_secs(4)).await;
    let keeper = keeper(sts(&issuer, SECRET_KEY));
    let first = keeper.current().await.expect("keys");
    issuer.fail(Some((403, r#"{"Code":"NoPermission","Message":"You are not authorized: main+secret/key="}"#)));
    until("the failure is told", || keeper.concern().is_some()).await;
    let concern = keeper.concern().expect("told");
    let expected = format!("AssumeRole {ROLE} at {}: answered 403 NoPermission: You are not authorized: ******", issuer.endpoint());
    assert!(concern.starts_with("the keys end in ") && concern.ends_with(&expected), "{concern}");
    assert_eq!(keeper.current().await.expect("they still live"), first);
    tokio::time::sleep_until(first.end.expect("they end")).await;
    let error = keeper.current().await.expect_err("they have ended");
    assert_eq!((error.code(), error.to_string()), (Code::Denied, expected));
    assert!(issuer.requests().len() < 20, "{:?}", issuer.requests());
    issuer.fail(None);
    until("keys come again", || keeper.concern().is_none()).await;
    assert_ne!(keeper.current().await.expect("keys"), first);
    let shown = format!("{keeper:?} {first:?} {concern} {error}");
    assert!(!shown.contains(SECRET_KEY) && !shown.contains("issued-secret") && !shown.contains("issued-token"), "{shown}");
}

/// *Scenario*: a wrong secret; an answer of 100 KiB; a server that is not there. *Guarantees*: each is told for what it is.
#[tokio::test]
async fn what_is_wrong_with_an_issuer_is_told() {
    let issuer = Issuer::start(HOUR).await;
    let error = keeper(sts(&issuer, "hunter2")).current().await.expect_err("a wrong secret");
    assert!(error.to_string().ends_with("answered 400 SignatureDoesNotMatch: wrong signature"), "{error}");
    issuer.fail(Some((200, &"x".repeat(100_000))));
    let error = keeper(sts(&issuer, SECRET_KEY)).current().await.expect_err("too long");
    assert!(error.to_string().ends_with("the answer broke off, or is longer than 65536 bytes"), "{error}");
    issuer.fail(Some((302, "elsewhere")));
    let mut elsewhere = connection(sts(&issuer, SECRET_KEY));
    let error = keepers().keeper(&elsewhere).expect("credentials").current().await.expect_err("a redirect");
    assert!(error.to_string().ends_with("answered 302 no reason given"), "{error}");
    if let Some(Credentials::Sts(sts)) = &mut elsewhere.credentials {
        sts.role.endpoint.address = "127.0.0.1:1".to_owned();
    }
    let error = keepers().keeper(&elsewhere).expect("credentials").current().await.expect_err("nobody is there");
    assert_eq!(error.code(), Code::Unavailable, "{error}");
}

/// *Scenario*: a broker refuses the keys of a role again and again. *Guarantees*: the issuer is not asked again for it within its pause: it limits the rate.
#[tokio::test]
async fn refusals_do_not_reach_an_issuer_at_once() {
    let issuer = Issuer::start(HOUR).await;
    let keeper = keeper(sts(&issuer, SECRET_KEY));
    let token = keeper.current().await.expect("keys");
    for _ in 0..100 {
        assert!(keeper.newer_than(&token).await.is_none());
    }
    assert_eq!(issuer.requests().len(), 1);
}

/// *Scenario*: keys in a file that another process replaces; a broken file; keys that have ended. *Guarantees*: new keys are found at a refusal at once, and
/// else within about a second; the last good keys stay in use while the file is broken, and that is told without a word of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_read_again_when_it_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys.json");
    let keys = |number: u32| format!(r#"{{"AccessKeyId":"ak{number}","AccessKeySecret":"sk{number}","SecurityToken":"tk{number}"}}"#);
    replace(&path, &keys(1));
    let keeper = keeper(Credentials::File(KeyFile { reference: file(&path) }));
    let first = keeper.current().await.expect("keys");
    assert!(keeper.newer_than(&first).await.is_none(), "there are no newer ones");
    replace(&path, &keys(2));
    let second = keeper.newer_than(&first).await.expect("newer");
    assert_eq!((second.access_key.as_str(), second.secret_key.expose(), second.security_token.expose()), ("ak2", "sk2", "tk2"));
    replace(&path, &keys(3));
    let mut looked = keeper.current().await.expect("keys");
    while looked == second {
        tokio::time::sleep(Duration::from_millis(20)).await;
        looked = keeper.current().await.expect("keys");
    }
    assert_eq!(looked.access_key, "ak3");
    for (text, told) in [
        (r#"{"AccessKeyId":"ak4","AccessKeySecret":"hunter2""#.to_owned(), "this is no JSON with keys"),
        (
            r#"{"AccessKeyId":"a","AccessKeySecret":"b","SecurityToken":"c","Expiration":"2020-01-01T00:00:00Z"}"#.to_owned(),
            "have ended already",
        ),
        (format!("{{\"x\":\"{}\"}}", "x".repeat(70_000)), "longer than 65536 bytes"),
    ] {
        replace(&path, &text);
        until(told, || keeper.concern().is_some_and(|concern| concern.contains(told))).await;
        assert_eq!(keeper.current().await.expect("the last good ones").access_key, "ak3");
        assert!(!keeper.concern().unwrap_or_default().contains("hunter2"));
    }
}

/// *Scenario*: keys that are written down, with and without references. *Guarantees*: what cannot change is never looked up again; a reference is, at a refusal.
#[tokio::test]
async fn written_keys_are_looked_up_where_they_can_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("secret");
    replace(&path, "one\n");
    let keys =
        |secret_key: Secret| keeper(Credentials::Static(Keys { access_key: "ak".into(), secret_key, security_token: Secret::default() }));
    let plain = keys(Secret::new("sk"));
    let token = plain.current().await.expect("keys");
    assert_eq!(token.secret_key.expose(), "sk");
    assert!(plain.newer_than(&token).await.is_none());
    let referred = keys(file(&path));
    let token = referred.current().await.expect("keys");
    assert_eq!(token.secret_key.expose(), "one");
    replace(&path, "two\n");
    assert_eq!(referred.newer_than(&token).await.expect("newer").secret_key.expose(), "two");
    let error = keys(file(&folder.path().join("missing"))).current().await.expect_err("no such file");
    assert_eq!(error.code(), Code::Denied);
}
