//! How long to wait before trying again: longer each time, with jitter, up to a bound.

use std::time::Duration;

/// Waits that double from `first` to `longest`, each drawn from its upper half so that many
/// writers don't come back at the same moment.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    attempts: u32,
}

impl Backoff {
    /// A backoff that has not waited yet.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, attempts: 0 }
    }

    /// The next wait.
    pub fn wait(&mut self) -> Duration {
        self.wait_by(fastrand::f64())
    }

    /// The next wait, for a draw from 0 to 1.
    fn wait_by(&mut self, draw: f64) -> Duration {
        let factor = 2_u32.saturating_pow(self.attempts.min(20));
        self.attempts = self.attempts.saturating_add(1);
        let full = self.first.saturating_mul(factor).min(self.longest);
        full.mul_f64(0.5 + draw.clamp(0.0, 1.0) / 2.0)
    }

    /// How often it was waited since the last success.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Starts over, after a success.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

/// How a wait is written in messages: whole milliseconds.
pub fn shown(wait: Duration) -> String {
    let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    humantime::format_duration(Duration::from_millis(millis)).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Backoff;

    #[test]
    fn doubles_up_to_its_bound_and_starts_over() {
        let millis = Duration::from_millis;
        let mut backoff = Backoff::new(millis(100), millis(1000));
        let waits: Vec<_> = (0..6).map(|_| backoff.wait_by(1.0)).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1000, 1000].map(millis));
        backoff.reset();
        assert_eq!(backoff.wait_by(0.0), millis(50));
        for _ in 0..1000 {
            assert!(backoff.wait() <= millis(1000));
        }
    }
}
