//! One budget for all that is buffered, and what each buffer gets of it.
//!
//! A worker has two batches, one being filled and one being merged, and a Kafka client with a queue
//! of fetched records. Behind the queue's limit the client still takes what one fetch gives, and
//! that grows by its compression ratio when it is unpacked: the fetches are small for that reason.

use bytesize::ByteSize;

use super::reader::Reader;
use super::value;

/// What a process takes that buffers nothing: code, runtime, metadata, connections.
const BASE: u64 = 20 << 20;

/// The least that a worker can work with.
const LEAST_PER_WORKER: u64 = 16 << 20;

const DEFAULT: ByteSize = ByteSize::mib(64);

/// What the buffers of one worker may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryConfig {
    /// All that the process may take, as configured.
    pub budget: ByteSize,
    /// The client's queue of records, unpacked.
    pub queue: ByteSize,
    /// One answer to a fetch, as it comes over the wire. A record or compressed batch that is
    /// larger is fetched whole all the same, alone.
    pub fetch: ByteSize,
    /// One batch.
    pub batch: ByteSize,
    /// The most that a batch may be set to.
    pub largest_batch: ByteSize,
}

impl MemoryConfig {
    /// Shares a budget among workers. Two batches take two sevenths of a worker's part, the queue with
    /// what belongs to its records and a fetch unpacked at 90:1 a tenth each; the rest is for what
    /// allocators keep, which is as much again, and for records larger than a limit.
    pub fn of(budget: ByteSize, workers: usize) -> Self {
        let worker = budget.as_u64().saturating_sub(BASE) / workers.max(1) as u64;
        Self {
            budget,
            queue: ByteSize::b(worker / 16),
            fetch: ByteSize::b((worker / 960).clamp(16 << 10, 1 << 20)),
            batch: ByteSize::b(worker / 7),
            largest_batch: ByteSize::b(worker / 6),
        }
    }

    /// The least budget that gives a batch of this size to each of so many workers.
    fn needed_for(batch: ByteSize, workers: usize) -> ByteSize {
        let worker = (batch.as_u64().saturating_mul(6)).max(LEAST_PER_WORKER);
        let mebibytes = (BASE + worker.saturating_mul(workers as u64)).div_ceil(1 << 20);
        ByteSize::mib(mebibytes)
    }
}

pub(super) fn memory(reader: &mut Reader<'_>, workers: usize) -> MemoryConfig {
    let least = MemoryConfig::needed_for(ByteSize::b(0), workers);
    let default = DEFAULT.max(least);
    let budget = value::size(reader, "memory", "budget", default, (least, ByteSize::gib(64)));
    MemoryConfig::of(budget, workers)
}

/// The size of a batch: its share of the budget, or what is configured if there is room for it.
pub(super) fn batch(reader: &mut Reader<'_>, memory: &MemoryConfig, workers: usize) -> ByteSize {
    let range = (ByteSize::kib(64), ByteSize::gib(1));
    let batch = value::size(reader, "batch", "max_bytes", memory.batch, range);
    if batch > memory.largest_batch
        && let Some(setting) = reader.setting("batch", "max_bytes")
    {
        let MemoryConfig { budget, largest_batch, .. } = memory;
        let needed = MemoryConfig::needed_for(batch, workers);
        reader.problem(
            setting.place,
            format!("batch.max_bytes is {batch}, but a memory.budget of {budget} has room for {largest_batch}"),
            format!("lower it, or raise memory.budget to \"{needed}\""),
        );
    }
    batch
}

#[cfg(test)]
mod tests {
    use bytesize::ByteSize;

    use super::{BASE, MemoryConfig};

    #[test]
    fn the_default_is_what_was_measured() {
        let shares = MemoryConfig::of(ByteSize::mib(64), 1);
        assert_eq!(
            (ByteSize::b(shares.batch.as_u64() >> 10 << 10), shares.queue, shares.fetch),
            (ByteSize::kib(6436), ByteSize::kib(2816), ByteSize::b(48_059))
        );
    }

    #[test]
    fn the_buffers_of_all_workers_are_within_the_budget() {
        for workers in [1, 2, 7, 64] {
            for mebibytes in [32, 64, 1000, 60_000] {
                let budget =
                    ByteSize::mib(mebibytes).max(MemoryConfig::needed_for(ByteSize::b(0), workers));
                let shares = MemoryConfig::of(budget, workers);
                let buffered = 2 * shares.largest_batch.as_u64()
                    + 3 * shares.queue.as_u64() / 2
                    + 90 * shares.fetch.as_u64();
                let whole = BASE + workers as u64 * buffered;
                assert!(whole <= budget.as_u64(), "{workers} workers in {budget}: {whole}");
                assert!(shares.batch <= shares.largest_batch);
            }
        }
    }

    #[test]
    fn says_how_much_a_batch_needs() {
        for workers in [1, 3] {
            let batch = ByteSize::mib(32);
            let needed = MemoryConfig::needed_for(batch, workers);
            assert!(MemoryConfig::of(needed, workers).largest_batch >= batch);
        }
    }
}
