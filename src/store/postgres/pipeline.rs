//! Requests that are sent one behind the other, without waiting for answers in between: together they are one way to the
//! database and back.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

/// A request, which is sent when it is first polled.
pub(super) type Request<'a, T, E = tokio_postgres::Error> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

/// Sends requests in this order, and answers what each was answered.
///
/// - The first that fails ends it. What comes behind one that could not even be sent is not sent.
/// - Their order is kept where all statements have been prepared: preparing one is a request of its own.
pub(super) async fn send<T, E>(mut requests: Vec<Request<'_, T, E>>) -> Result<Vec<T>, E> {
    let mut answers: Vec<Option<T>> = requests.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut is_done = true;
        for (request, answer) in requests.iter_mut().zip(&mut answers) {
            if answer.is_some() {
                continue;
            }
            match request.as_mut().poll(context) {
                Poll::Ready(Ok(answered)) => *answer = Some(answered),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => is_done = false,
            }
        }
        if is_done { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await?;
    Ok(answers.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// A request that notes when it is sent; it is answered later, or could not be sent.
    fn request(sent: &Mutex<Vec<u8>>, number: u8, can_be_sent: bool) -> Request<'_, u8, &'static str> {
        let mut is_sent = false;
        Box::pin(poll_fn(move |context| {
            if is_sent {
                return Poll::Ready(Ok(number));
            }
            if !can_be_sent {
                return Poll::Ready(Err("too large"));
            }
            is_sent = true;
            sent.lock().unwrap().push(number);
            context.waker().wake_by_ref();
            Poll::Pending
        }))
    }

    #[tokio::test]
    async fn requests_are_sent_in_order_before_any_is_waited_for() {
        let sent = Mutex::new(Vec::new());
        let all: Vec<u8> = (0..70).collect();
        let last = async {
            assert_eq!(*sent.lock().unwrap(), all[..69]);
            Ok(69)
        };
        let mut requests: Vec<_> = (0..69).map(|number| request(&sent, number, true)).collect();
        requests.push(Box::pin(last));
        assert_eq!(send(requests).await.unwrap(), all);
    }

    #[tokio::test]
    async fn nothing_is_sent_behind_what_could_not_be() {
        let sent = Mutex::new(Vec::new());
        let requests = vec![request(&sent, 0, true), request(&sent, 1, false), request(&sent, 2, true)];
        assert_eq!(send(requests).await, Err("too large"));
        assert_eq!(*sent.lock().unwrap(), [0]);
    }
}
