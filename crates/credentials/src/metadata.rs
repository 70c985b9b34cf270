//! The metadata service of a cloud instance, in the hardened mode: every question goes with a token that was asked for by PUT.
//!
//! <https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata>.

use http::Method;
use rocketbridge_model::resolved::InstanceRole;
use rocketbridge_network::Dialer;

use crate::answer::{self, Issued};
use crate::error::{Code, Error};
use crate::exchange::{self, Answer, Question};

/// Where a token of the service is asked for.
const TOKEN: &str = "/latest/api/token";
/// The folder of roles.
const ROLES: &str = "/latest/meta-data/ram/security-credentials/";
/// How long the service's token is good for, seconds. It is used for two questions.
const LIFE: &str = "60";

/// Keys of the instance's role.
pub(crate) async fn issue(attempt: &str, role: &InstanceRole, dialer: &Dialer) -> Result<Issued, Error> {
    let question =
        |method, target: String, headers| Question { attempt, endpoint: &role.endpoint, method, target, headers, body: String::new() };
    let headers = [("X-aliyun-ecs-metadata-token-ttl-seconds", LIFE)];
    let token = text(attempt, &exchange::ask(dialer, question(Method::PUT, TOKEN.to_owned(), &headers)).await?, &[])?;
    let headers = [("X-aliyun-ecs-metadata-token", token.as_str())];
    let name = if role.role.is_empty() {
        let listed = text(attempt, &exchange::ask(dialer, question(Method::GET, ROLES.to_owned(), &headers)).await?, &[&token])?;
        let name = listed.lines().next().unwrap_or_default().trim().to_owned();
        let is_name = |character: char| character.is_ascii_alphanumeric() || ".@-_".contains(character);
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(Error::new(Code::Malformed, attempt, "the service names no role of this instance"));
        }
        name
    } else {
        role.role.clone()
    };
    let answer = exchange::ask(dialer, question(Method::GET, format!("{ROLES}{name}"), &headers)).await?;
    if answer.status != 200 {
        return Err(answer::refusal(attempt, answer.status, &answer.body, &[&token]));
    }
    answer::of_metadata(attempt, &answer.body, answer.moment)
}

fn text(attempt: &str, answer: &Answer, secrets: &[&str]) -> Result<String, Error> {
    if answer.status != 200 {
        return Err(answer::refusal(attempt, answer.status, &answer.body, secrets));
    }
    let text = std::str::from_utf8(&answer.body).ok().map(str::trim).filter(|text| !text.is_empty());
    text.map(str::to_owned).ok_or_else(|| Error::new(Code::Malformed, attempt, "the answer is empty or no text"))
}
