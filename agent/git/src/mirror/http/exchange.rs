//! The three ends of an http request as gix holds them: a body to write, a head and a body to read.
//!
//! gix writes all of a request before it reads the answer, so the request is sent when the first byte of the answer is
//! asked for. That keeps one thread per conversation; the bodies that we send (wants and haves) are a few KiB.

use std::io::{self, BufReader, Cursor, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use gix::protocol::transport::client::blocking_io::http::{GetResponse, Http, PostBodyDataKind, PostResponse};
use reqwest::blocking::Response;
use reqwest::{Method, header};

use quarterdeck_system::program::Bounds as _;

use super::Session;
use crate::GitError;
use crate::error::chain;
use crate::mirror::operation::Operation;

/// The longest capability advertisement that is remembered; protocol 2 needs under 1 KiB.
const ADVERTISEMENT_MAX: u64 = 16 << 10;

/// One conversation over a session, for gix.
pub(crate) struct Conversation {
    pub(crate) session: Arc<Session>,
    pub(crate) talk: Arc<Operation>,
}

/// A request before it is sent.
pub(super) struct Request {
    pub(super) method: Method,
    /// What follows the base address: `/info/refs?service=…`.
    pub(super) tail: String,
    pub(super) headers: header::HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Http for Conversation {
    type Headers = BufReader<Half>;
    type ResponseBody = BufReader<Half>;
    type PostBody = Half;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::Result<GetResponse<Self::Headers, Self::ResponseBody>> {
        let remembered = self.session.known().advertisement.clone();
        let (headers, body) = match remembered {
            Some(known) => (known.0, Box::new(Cursor::new(known.1)) as Box<dyn Read + Send>),
            None => {
                let request = request(Method::GET, url, base_url, headers);
                let response = self.session.send(&request, &self.talk).map_err(gix::Error::from_error)?;
                self.remember(response).map_err(gix::Error::from_error)?
            }
        };
        let exchange = Arc::new(Mutex::new(Exchange::Answered { headers: Cursor::new(headers), body }));
        let (headers, body) = halves(&exchange);
        Ok(GetResponse { headers, body })
    }

    fn post(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _body: PostBodyDataKind,
    ) -> gix::Result<PostResponse<Self::Headers, Self::ResponseBody, Self::PostBody>> {
        let request = request(Method::POST, url, base_url, headers);
        let exchange = Exchange::Asked { request, session: self.session.clone(), talk: self.talk.clone() };
        let exchange = Arc::new(Mutex::new(exchange));
        let (headers, body) = halves(&exchange);
        Ok(PostResponse { post_body: Half { exchange, part: Part::Request }, headers, body })
    }

    fn configure(&mut self, _config: &dyn std::any::Any) -> gix::Result<()> {
        Ok(())
    }
}

impl Conversation {
    /// Keeps an advertisement of protocol 2 for the next conversations, and hands it on.
    fn remember(&self, response: Response) -> io::Result<(Vec<u8>, Box<dyn Read + Send>)> {
        let headers = lines(&response);
        let mut rest = Body { response, talk: self.talk.clone() };
        let mut start = Vec::new();
        rest.by_ref().take(ADVERTISEMENT_MAX).read_to_end(&mut start)?;
        let whole = (start.len() as u64) < ADVERTISEMENT_MAX;
        if whole && start.windows(9).any(|window| window == b"version 2") {
            self.session.known().advertisement = Some((headers.clone(), start.clone()));
        }
        Ok((headers, Box::new(Cursor::new(start).chain(rest))))
    }
}

fn request(method: Method, url: &str, base: &str, lines: impl IntoIterator<Item = impl AsRef<str>>) -> Request {
    let mut headers = header::HeaderMap::new();
    for line in lines {
        let parsed = line.as_ref().split_once(':').and_then(|(name, value)| {
            Some((header::HeaderName::try_from(name).ok()?, header::HeaderValue::try_from(value.trim()).ok()?))
        });
        if let Some((name, value)) = parsed {
            headers.append(name, value);
        }
    }
    Request { method, tail: url.strip_prefix(base).unwrap_or(url).to_owned(), headers, body: Vec::new() }
}

/// A request that is being written, then its answer that is being read. gix holds the three ends of it apart.
enum Exchange {
    Asked { request: Request, session: Arc<Session>, talk: Arc<Operation> },
    Answered { headers: Cursor<Vec<u8>>, body: Box<dyn Read + Send> },
    Failed,
}

/// One end of an exchange.
pub(crate) struct Half {
    exchange: Arc<Mutex<Exchange>>,
    part: Part,
}

enum Part {
    Request,
    Headers,
    Body,
}

fn halves(exchange: &Arc<Mutex<Exchange>>) -> (BufReader<Half>, BufReader<Half>) {
    let half = |part| Half { exchange: exchange.clone(), part };
    (BufReader::with_capacity(4 << 10, half(Part::Headers)), BufReader::with_capacity(64 << 10, half(Part::Body)))
}

impl Read for Half {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut exchange = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
        // The request is complete once its answer is asked for: gix writes all of it first.
        if let Exchange::Asked { request, session, talk } = &*exchange {
            let answer = session.send(request, talk).map(|response| (lines(&response), response, talk.clone()));
            *exchange = Exchange::Failed;
            let (headers, response, talk) = answer?;
            *exchange = Exchange::Answered { headers: Cursor::new(headers), body: Box::new(Body { response, talk }) };
        }
        match (&mut *exchange, &self.part) {
            (Exchange::Answered { headers, .. }, Part::Headers) => headers.read(buffer),
            (Exchange::Answered { body, .. }, Part::Body) => body.read(buffer),
            _ => Err(io::Error::other("the request failed before")),
        }
    }
}

impl Write for Half {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut exchange = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *exchange {
            Exchange::Asked { request, .. } => request.body.write(bytes),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An answer's body, with the clock and the count of its conversation.
struct Body {
    response: Response,
    talk: Arc<Operation>,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.talk.patience()?;
        match self.response.read(buffer) {
            Ok(read) => self.talk.count(read).map(|()| read),
            Err(error) if is_timeout(&error) => Err(self.talk.timed_out()),
            Err(error) => {
                let detail = format!("the answer was cut off: {}", chain(&error));
                Err(self.talk.fail(GitError::Unreachable { url: self.talk.url().to_owned(), detail }))
            }
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<reqwest::Error>());
    error.kind() == io::ErrorKind::TimedOut || inner.is_some_and(reqwest::Error::is_timeout)
}

fn lines(response: &Response) -> Vec<u8> {
    let mut lines = Vec::new();
    for (name, value) in response.headers() {
        lines.extend_from_slice(name.as_str().as_bytes());
        lines.push(b':');
        lines.extend_from_slice(value.as_bytes());
        lines.push(b'\n');
    }
    lines
}
