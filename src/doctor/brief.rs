//! Findings on one line: for an error that others log.

use super::{Check, Fix, Outcome, Report, Severity, Stage, context};

/// The least that is left of a cause.
const LEAST_CAUSE: usize = 40;

impl Report {
    /// The first finding: code, broker, cause and fix, in at most so many characters, and
    /// how many more there are. `None` if nothing was found.
    pub fn brief(&self, longest: usize) -> Option<String> {
        let findings = self.findings();
        let first = findings.first()?;
        let more = match findings.len() - 1 {
            0 => String::new(),
            more => format!(" (+{more} more, see the component's log)"),
        };
        let room = longest.saturating_sub(length(&more));
        Some(format!("{}{more}", first.brief(room)?))
    }
}

impl Check {
    /// How bad it is, if something was found.
    pub fn severity(&self) -> Option<Severity> {
        self.finding().map(|found| found.severity)
    }

    /// A broker answered where the cluster says that it is.
    pub fn is_usable_broker(&self) -> bool {
        self.stage == Stage::Cluster
            && matches!(self.outcome, Outcome::Fine(_))
            && context::is_advertised(&self.subject)
    }

    /// What was found in at most so many characters. When it is too long the cause is
    /// shortened first: code, broker and fix must be read.
    fn brief(&self, longest: usize) -> Option<String> {
        let finding = self.finding()?;
        let (code, cause) = (finding.row.code, finding.cause.as_str());
        let subject = cut(&self.subject, 100);
        let head = format!("{code} {subject}: ");
        let (fix, keys) = (finding.fix.line(), finding.fix.keys());
        let left = longest.saturating_sub(length(&head) + length(FIX));
        let least = LEAST_CAUSE.min(length(cause));
        // The metadata alone says it too.
        let fix = if length(&fix) + least > left && !keys.is_empty() {
            keys
        } else {
            fix
        };
        let fix = cut(&fix, left.saturating_sub(least));
        let cause = cut(cause, left.saturating_sub(length(&fix)));
        Some(format!("{head}{cause}{FIX}{fix}"))
    }
}

/// Before the fix.
const FIX: &str = ". Fix: ";

impl Fix {
    /// All of it, on one line.
    pub fn line(&self) -> String {
        let keys = self.keys();
        let run = self.command.as_ref().map(|run| format!("run {run}"));
        let parts = [Some(self.text.clone()), Some(keys), run];
        let parts: Vec<_> = parts
            .into_iter()
            .flatten()
            .filter(|part| !part.is_empty())
            .collect();
        parts.join("; ")
    }

    /// Its metadata.
    fn keys(&self) -> String {
        let set = self
            .set
            .iter()
            .map(|(key, value)| format!("set {key}: {value:?}"));
        let remove = self.remove.iter().map(|key| format!("remove {key}"));
        set.chain(remove).collect::<Vec<_>>().join(", ")
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// The beginning of a text, of at most so many characters.
fn cut(text: &str, longest: usize) -> String {
    if length(text) <= longest {
        return text.to_owned();
    }
    let kept: String = text.chars().take(longest.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{Finding, rows};

    fn report(cause: &str, fix: &Fix, count: usize) -> Report {
        let finding = Finding::new(&rows::cluster::CLIENT_UNANSWERED, cause, fix.clone());
        let check = Check {
            stage: finding.row.stage,
            subject: "broker.example:9092".into(),
            outcome: Outcome::Found(finding),
        };
        Report {
            checks: vec![check; count],
            ..Report::default()
        }
    }

    #[test]
    fn a_finding_is_told_on_one_line() {
        let fix = Fix::words("use TLS")
            .set("authType", "certificate")
            .remove("disableTls");
        let told = report("it speaks TLS", &fix, 3).brief(400);
        let expected = "RDK-CLU-13 broker.example:9092: it speaks TLS. Fix: use TLS; set authType: \
                        \"certificate\", remove disableTls (+2 more, see the component's log)";
        assert_eq!(told.as_deref(), Some(expected));
        assert_eq!(Report::default().brief(400), None);
    }

    #[test]
    fn what_is_shortened_is_the_cause_and_then_the_words() {
        let fix = Fix::words("ä".repeat(600)).set("authType", "certificate");
        let told = report(&"ö".repeat(600), &fix, 2)
            .brief(400)
            .unwrap_or_default();
        assert_eq!(told.chars().count(), 400, "{told}");
        for part in [
            "RDK-CLU-13 broker.example:9092: öööö",
            "set authType: \"certificate\" (+1 more",
        ] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
    }

    proptest::proptest! {
        #[test]
        fn it_never_gets_too_long(cause: String, text: String, value: String, longest in 250_usize..500) {
            let fix = Fix::words(text).set("key", value);
            let told = report(&cause, &fix, 2).brief(longest).unwrap_or_default();
            proptest::prop_assert!(told.chars().count() <= longest, "{}", told);
        }
    }
}
