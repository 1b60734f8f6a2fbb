//! Many things to do, some of them at a time.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::{BoxFuture, try_join_all};

/// Does something with each item, with so many at a time. What comes of it is in no order. Of the items
/// nobody is at, nothing is held in memory.
///
/// # Errors
/// The first one; what is being done then is given up.
pub async fn in_parallel<'a, T, R, E>(
    items: &'a [T],
    parallelism: usize,
    work: impl Fn(&'a T) -> BoxFuture<'a, Result<R, E>>,
) -> Result<Vec<R>, E> {
    let next = AtomicUsize::new(0);
    let lane = || async {
        let mut done = Vec::new();
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push(work(item).await?);
        }
        Ok(done)
    };
    let lanes = (0..parallelism.min(items.len())).map(|_| lane());
    Ok(try_join_all(lanes).await?.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt as _;

    use super::in_parallel;

    #[tokio::test]
    async fn does_all_and_not_too_many_at_a_time() {
        let (at_work, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let items: Vec<usize> = (0..100).collect();
        let work = |item: &usize| {
            let (item, at_work, most) = (*item, &at_work, &most);
            async move {
                most.fetch_max(at_work.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                at_work.fetch_sub(1, Ordering::SeqCst);
                if item == 1000 { Err(item) } else { Ok(item) }
            }
        };
        let done = in_parallel(&items, 7, |item| Box::pin(work(item))).await;
        let mut done = done.unwrap();
        done.sort_unstable();
        assert_eq!(done, items);
        assert_eq!(most.load(Ordering::SeqCst), 7);
        let failing = [1, 1000, 2];
        assert_eq!(in_parallel(&failing, 2, |item| Box::pin(work(item))).await, Err(1000));
        let nothing = in_parallel(&[], 7, |item| work(item).boxed()).await;
        assert_eq!(nothing, Ok(Vec::new()));
    }
}
