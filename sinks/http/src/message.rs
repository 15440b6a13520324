//! Requests and responses as text. It knows no sockets.

/// A request line and headers longer than this are refused.
pub(crate) const LONGEST_HEAD: usize = 8 * 1024;

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// `GET`, `HEAD`, `POST`, …
    pub method: &'a str,
    /// The path, as it stands in the request, without what follows a `?`.
    pub path: &'a str,
    /// What follows the `?`; empty if there is none.
    pub query: &'a str,
    headers: Vec<(&'a str, &'a str)>,
}

impl<'a> Request<'a> {
    /// Reads a request line and headers, without the empty line at their end; `None` if it is none of
    /// HTTP/1.0 or HTTP/1.1.
    pub fn parse(head: &'a str) -> Option<Self> {
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        let is_method = !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase());
        let is_http = matches!(version, "HTTP/1.0" | "HTTP/1.1") && words.next().is_none();
        if !is_method || !target.starts_with('/') || !is_http {
            return None;
        }
        let headers = lines
            .map(|line| line.split_once(':').map(|(name, value)| (name, value.trim())))
            .collect::<Option<_>>()?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Some(Request { method, path, query, headers })
    }

    /// Whether the request only wants to read: `GET` or `HEAD`.
    pub fn is_read(&self) -> bool {
        matches!(self.method, "GET" | "HEAD")
    }

    /// The values of the headers of this name, whose case does not matter.
    pub fn header<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'a str> + 'r {
        let named = move |(found, _): &&(&str, &str)| found.eq_ignore_ascii_case(name);
        self.headers.iter().filter(named).map(|(_, value)| *value)
    }
}

/// How a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 200.
    Ok,
    /// 400: the request makes no sense.
    BadRequest,
    /// 404: there is nothing at this path.
    NotFound,
    /// 405, with a header that allows `GET` and `HEAD`.
    MethodNotAllowed,
    /// 431: the request is too long.
    TooLong,
    /// 500: our fault.
    InternalError,
    /// 503: not now.
    Unavailable,
}

impl Status {
    fn line(self) -> &'static str {
        match self {
            Status::Ok => "200 OK",
            Status::BadRequest => "400 Bad Request",
            Status::NotFound => "404 Not Found",
            Status::MethodNotAllowed => "405 Method Not Allowed\r\nAllow: GET, HEAD",
            Status::TooLong => "431 Request Header Fields Too Large",
            Status::InternalError => "500 Internal Server Error",
            Status::Unavailable => "503 Service Unavailable",
        }
    }
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// How it went.
    pub status: Status,
    /// The media type of the body.
    pub content_type: &'static str,
    /// The body; for `HEAD` only its length is sent.
    pub body: Vec<u8>,
}

impl Response {
    /// Plain text.
    pub fn text(status: Status, body: &str) -> Self {
        let content_type = "text/plain; charset=utf-8";
        Response { status, content_type, body: body.as_bytes().to_vec() }
    }

    /// JSON, which the body has to be already.
    pub fn json(status: Status, body: Vec<u8>) -> Self {
        Response { status, content_type: "application/json", body }
    }

    /// The bytes to send.
    pub(crate) fn into_bytes(self, with_body: bool) -> Vec<u8> {
        let mut bytes = format!(
            "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.status.line(),
            self.content_type,
            self.body.len()
        )
        .into_bytes();
        if with_body {
            bytes.extend(self.body);
        }
        bytes
    }
}

/// What was received so far.
#[derive(Debug)]
pub(crate) enum Head<'a> {
    /// The head is not complete yet.
    Partial,
    /// A request.
    Request(Request<'a>),
    /// Something that can't be answered otherwise.
    Refused(Response),
}

/// Looks whether a request is complete.
pub(crate) fn read(received: &[u8]) -> Head<'_> {
    let end = received.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let Some(head) = end.and_then(|end| received.get(..end)) else {
        if received.len() < LONGEST_HEAD {
            return Head::Partial;
        }
        return Head::Refused(Response::text(Status::TooLong, "The request is too long.\n"));
    };
    match std::str::from_utf8(head).ok().and_then(Request::parse) {
        Some(request) => Head::Request(request),
        None => {
            let text = "This is not an HTTP/1 request.\n";
            Head::Refused(Response::text(Status::BadRequest, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_has_type_and_length_and_ends_the_connection() {
        let bytes = Response::text(Status::Ok, "Text\n").into_bytes(true);
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Length: 5\r\nConnection: close\r\n\r\nText\n"
        );
        let refused = Response::json(Status::MethodNotAllowed, b"{}".to_vec()).into_bytes(false);
        assert_eq!(
            String::from_utf8(refused).unwrap(),
            "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn a_request_has_a_path_a_query_and_headers_of_any_case() {
        let head = "GET /a/b?x=1&y=?z HTTP/1.1\r\nHost: x\r\naccept:one\r\nAccept: two ";
        let request = Request::parse(head).unwrap();
        assert_eq!((request.path, request.query), ("/a/b", "x=1&y=?z"));
        assert_eq!(request.header("ACCEPT").collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(Request::parse("HEAD / HTTP/1.0").unwrap().query, "");
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for head in [
            "GET /metrics",
            "GET /metrics HTTP/2",
            "GET  /metrics HTTP/1.1",
            "get /metrics HTTP/1.1",
            "GET http://x/metrics HTTP/1.1",
            "GET /metrics HTTP/1.1\r\nno header",
            "",
        ] {
            assert_eq!(Request::parse(head), None, "{head}");
            let received = format!("{head}\r\n\r\n");
            let Head::Refused(response) = read(received.as_bytes()) else { panic!("{head}") };
            assert_eq!(response.status, Status::BadRequest);
        }
        assert!(matches!(read(b"GET /\xff HTTP/1.1\r\n\r\n"), Head::Refused(_)));
    }

    #[test]
    fn a_request_is_refused_at_once_when_it_is_too_long() {
        let endless = "GET / HTTP/1.1\r\n".to_owned() + &"x".repeat(LONGEST_HEAD);
        assert!(matches!(read(&endless.as_bytes()[..LONGEST_HEAD - 1]), Head::Partial));
        let Head::Refused(response) = read(endless.as_bytes()) else { panic!() };
        assert_eq!(response.status, Status::TooLong);
    }
}
