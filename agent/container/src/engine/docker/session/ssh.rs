//! An agent of ssh for `RUN --mount=type=ssh`: what a step asks of it goes through here, to a socket of this machine.
//!
//! A Dockerfile may ask which keys there are, and have something signed with one; anything else (to take keys away, to add
//! some, to lock the agent) is refused as an agent refuses it. No key leaves the agent.

use std::io;

use bollard::moby::sshforward::v1::ssh_server::Ssh;
use bollard::moby::sshforward::v1::{BytesMessage, CheckAgentRequest, CheckAgentResponse};
use futures::TryStreamExt as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::io::StreamReader;
use tonic::{Request, Response, Status, Streaming};

use crate::engine::ssh_agent::SshAgent;

/// The id of `RUN --mount=type=ssh` without one.
const DEFAULT: &str = "default";

/// The longest message of an agent, as OpenSSH has it.
const MESSAGE_BYTES_MAX: u32 = 256 << 10;

/// An answer waits while BuildKit takes the one before: a step asks one thing after the other.
const ANSWERS_WAITING_MAX: usize = 1;

/// `SSH_AGENTC_REQUEST_IDENTITIES` and `SSH_AGENTC_SIGN_REQUEST`.
const ALLOWED: [u8; 2] = [11, 13];

/// `SSH_AGENT_FAILURE`, as a whole message.
const FAILURE: [u8; 5] = [0, 0, 0, 1, 5];

/// The agent, which is there as long as this is.
pub(super) struct Agent(pub(super) SshAgent);

#[tonic::async_trait]
impl Ssh for Agent {
    type ForwardAgentStream = ReceiverStream<Result<BytesMessage, Status>>;

    async fn check_agent(&self, request: Request<CheckAgentRequest>) -> Result<Response<CheckAgentResponse>, Status> {
        match request.get_ref().id.as_str() {
            "" | DEFAULT => Ok(Response::new(CheckAgentResponse {})),
            id => Err(Status::not_found(format!("no ssh agent {id:?} is configured: leave out its id"))),
        }
    }

    async fn forward_agent(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Self::ForwardAgentStream>, Status> {
        let agent = UnixStream::connect(&self.0.socket).await;
        let agent = agent.map_err(|error| Status::unavailable(format!("the ssh agent does not answer: {error}")))?;
        let asked = request.into_inner().map_ok(|piece| io::Cursor::new(piece.data)).map_err(io::Error::other);
        let (answers, stream) = mpsc::channel(ANSWERS_WAITING_MAX);
        // It ends with the step, whose stream ends then, and at the latest with the session.
        tokio::spawn(async move {
            if let Err(error) = relay(StreamReader::new(asked), agent, &answers).await {
                let _ = answers.send(Err(Status::unavailable(format!("the ssh agent: {error}")))).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// Hands each question that is allowed to the agent and its answer back, until no more come.
async fn relay(
    mut asked: impl AsyncRead + Unpin,
    mut agent: impl AsyncRead + AsyncWrite + Unpin,
    answers: &mpsc::Sender<Result<BytesMessage, Status>>,
) -> io::Result<()> {
    while let Some(question) = message(&mut asked).await? {
        let answer = if question.get(4).is_some_and(|kind| ALLOWED.contains(kind)) {
            agent.write_all(&question).await?;
            message(&mut agent).await?.ok_or(io::ErrorKind::UnexpectedEof)?
        } else {
            FAILURE.to_vec()
        };
        if answers.send(Ok(BytesMessage { data: answer })).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// The next message with its length in front; none at the end.
async fn message(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let length = match from.read_u32().await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        length => length?,
    };
    if length > MESSAGE_BYTES_MAX {
        return Err(io::Error::other(format!("a message of {length} bytes, and {MESSAGE_BYTES_MAX} are the most")));
    }
    let mut message = length.to_be_bytes().to_vec();
    let read = from.take(length.into()).read_to_end(&mut message).await?;
    if read < length as usize { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(Some(message)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(kind: u8, rest: &[u8]) -> Vec<u8> {
        let length = u32::try_from(rest.len() + 1).unwrap();
        [&length.to_be_bytes()[..], &[kind], rest].concat()
    }

    /// What an agent that answers each question with `kind + 1` is asked, and what comes back.
    async fn relayed(asked: Vec<u8>) -> (Vec<Vec<u8>>, Vec<Vec<u8>>, io::Result<()>) {
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        let agent = tokio::spawn(async move {
            let mut seen = Vec::new();
            while let Ok(Some(question)) = message(&mut theirs).await {
                theirs.write_all(&framed(question[4] + 1, b"answer")).await.unwrap();
                seen.push(question);
            }
            seen
        });
        let (answers, mut given) = mpsc::channel(64);
        let result = relay(&*asked, ours, &answers).await;
        drop(answers);
        let mut back = Vec::new();
        while let Some(answer) = given.recv().await {
            back.push(answer.unwrap().data);
        }
        (agent.await.unwrap(), back, result)
    }

    #[tokio::test]
    async fn keys_are_listed_and_used_and_nothing_else_is_asked_of_the_agent() {
        let (list, sign) = (framed(11, b""), framed(13, &[7; 4_000]));
        let (remove_all, add, lock, extension) =
            (framed(19, b""), framed(17, b"key"), framed(22, b"x"), framed(27, b"e"));
        let asked = [&list, &remove_all, &sign, &add, &lock, &extension].map(|one| one.as_slice()).concat();
        let (seen, back, result) = relayed(asked).await;
        result.unwrap();
        assert_eq!(seen, [list, sign]);
        let failure = FAILURE.to_vec();
        let answers =
            [framed(12, b"answer"), failure.clone(), framed(14, b"answer"), failure.clone(), failure.clone(), failure];
        assert_eq!(back, answers);
    }

    #[tokio::test]
    async fn a_message_that_is_too_long_or_cut_ends_it() {
        for (asked, why) in [
            (vec![0, 4, 0, 1, 11], "a message of 262145 bytes, and 262144 are the most"),
            (vec![0, 0, 0, 9, 11, 1], "unexpected end of file"),
        ] {
            let (seen, back, result) = relayed(asked).await;
            assert_eq!((seen.len(), back.len(), result.unwrap_err().to_string()), (0, 0, why.to_owned()));
        }
        // No question of no length, which has no kind.
        assert_eq!(relayed(vec![0, 0, 0, 0]).await.1, [FAILURE]);
    }
}
