//! Why brokers can't be reached: what librdkafka says between the answers, which alone are just
//! "timed out".

use std::sync::Mutex;

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// The last reason that says more than that no broker is there.
#[derive(Debug, Default)]
pub struct Trouble(Mutex<Option<String>>);

impl Trouble {
    /// Takes note of an error.
    pub fn note(&self, error: &KafkaError, reason: &str) {
        let advice = match error.rdkafka_error_code() {
            Some(Code::SSL) => "; look at kafka.ca_file, kafka.certificate_file and the host names",
            Some(Code::Authentication) => {
                "; look at kafka.username, kafka.password and kafka.sasl_mechanism"
            }
            Some(Code::BrokerTransportFailure | Code::Resolve) => "",
            _ => return,
        };
        *self.lock() = Some(format!("{reason}{advice}"));
    }

    /// Takes note of a line of the log, since a broker that just hangs up is no error to
    /// librdkafka. Whatever is an error says more.
    pub fn note_log(&self, facility: &str, line: &str) {
        if facility == "FAIL" {
            // In front of it stands the name of a thread.
            let reason = line.split_once("]: ").map_or(line, |(_, reason)| reason);
            let advice = "look at kafka.security_protocol, and at the broker's log";
            self.lock().get_or_insert_with(|| format!("{reason}; {advice}"));
        }
    }

    /// The brokers answer again.
    pub fn clear(&self) {
        *self.lock() = None;
    }

    /// The reason, if there is one.
    pub fn reason(&self) -> Option<String> {
        self.lock().clone()
    }

    /// A panic elsewhere can't leave a text half-written.
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
