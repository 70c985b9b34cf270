//! When keys are replaced. Pure: the clock and the dice are arguments.

use std::time::Duration;

use rocketbridge_model::resolved::Credentials;

/// How often a file that another process refreshes is read.
const FILE: Duration = Duration::from_secs(1);
/// How often references to secrets are followed again.
const REFERENCE: Duration = Duration::from_secs(10);
/// How long after it was asked an issuer is not asked again only because a peer refused its keys: the refusal is most likely about permissions, and
/// issuers limit the rate of requests.
const REFUSAL: Duration = Duration::from_secs(30);
/// First and longest pause after a failure. The keys of a role live at least 15 minutes, of which at least three are left at the first attempt.
pub(crate) const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// By what rule keys are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Never: they are written down.
    Never,
    /// They are read where they stand, so often.
    Every(Duration),
    /// They are issued, each time for the life that the issuer says.
    Life,
}

impl Rule {
    pub(crate) fn of(credentials: &Credentials) -> Self {
        match credentials {
            Credentials::Static(keys) if !keys.secret_key.is_reference() && !keys.security_token.is_reference() => Self::Never,
            Credentials::Static(_) => Self::Every(REFERENCE),
            Credentials::File(_) => Self::Every(FILE),
            Credentials::Sts(_) | Credentials::Oidc(_) | Credentials::InstanceRole(_) => Self::Life,
        }
    }

    /// How long keys are used that still live this long (`None`: nobody says) before newer ones are asked for; `None` for ever. `dice` is uniform in
    /// [0, 1): so processes that began together do not ask together.
    pub(crate) fn renewal(self, life: Option<Duration>, dice: f64) -> Option<Duration> {
        match self {
            Self::Never => None,
            Self::Every(period) => Some(period),
            Self::Life => life.map(|life| life.mul_f64(0.6 + 0.2 * dice)),
        }
    }

    /// Whether newer keys are asked for because a peer refused these, so long after they were asked for last.
    pub(crate) fn may_answer_a_refusal(self, since: Duration) -> bool {
        match self {
            Self::Never => false,
            Self::Every(_) => true,
            Self::Life => since >= REFUSAL,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rocketbridge_model::Secret;
    use rocketbridge_model::resolved::{KeyFile, Keys};

    use super::*;

    proptest! {
        /// *Scenario*: any life, any throw of the dice. *Guarantees*: keys are used for most of their life and replaced before its last fifth.
        #[test]
        fn keys_are_replaced_in_the_second_half_of_their_life(seconds in 1_u64..1_000_000, dice in 0.0..1.0_f64) {
            let life = Duration::from_secs(seconds);
            let renewal = Rule::Life.renewal(Some(life), dice).expect("they end");
            prop_assert!(renewal >= life.mul_f64(0.599) && renewal <= life.mul_f64(0.801), "{renewal:?} of {life:?}");
        }

        /// *Scenario*: two processes with keys of the same life. *Guarantees*: they ask at times as far apart as their dice are.
        #[test]
        fn processes_do_not_ask_together(one in 0.0..1.0_f64, other in 0.0..1.0_f64) {
            let life = Duration::from_secs(3_600);
            let at = |dice| Rule::Life.renewal(Some(life), dice).expect("they end").as_secs_f64();
            prop_assert!(((at(one) - at(other)).abs() - 720.0 * (one - other).abs()).abs() < 0.001);
        }
    }

    /// *Scenario*: each kind of credentials. *Guarantees*: what cannot change is never looked at again; an issuer is not asked at each refusal.
    #[test]
    fn each_kind_has_its_rule() {
        let keys = |secret: &str| {
            Credentials::Static(Keys { access_key: "ak".into(), secret_key: Secret::new(secret), security_token: Secret::default() })
        };
        assert_eq!(Rule::of(&keys("sk")), Rule::Never);
        assert_eq!(Rule::of(&keys("file:/sk")), Rule::Every(REFERENCE));
        assert_eq!(Rule::of(&Credentials::File(KeyFile { reference: Secret::new("file:/keys") })), Rule::Every(FILE));
        assert_eq!((Rule::Never.renewal(None, 0.5), Rule::Life.renewal(None, 0.5)), (None, None));
        assert!(!Rule::Life.may_answer_a_refusal(Duration::from_secs(29)) && Rule::Life.may_answer_a_refusal(REFUSAL));
        assert!(!Rule::Never.may_answer_a_refusal(REFUSAL) && Rule::Every(FILE).may_answer_a_refusal(Duration::ZERO));
    }
}
