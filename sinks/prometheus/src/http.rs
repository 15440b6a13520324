//! As much of HTTP/1.1 as a scrape needs: one request, one answer, and the connection ends.
//!
//! It works on bytes; sockets and time-outs are the server's. Request bodies are not read.

use crate::exposition::Format;

/// A request line and headers longer than this are refused.
pub(crate) const LONGEST_HEAD: usize = 8 * 1024;

/// The answer to what was received so far; `None` while the head of the request is not complete.
///
/// `metrics` makes the exposition; it is called for `GET` and `HEAD` of `/metrics` only.
pub(crate) fn answer(received: &[u8], metrics: impl FnOnce(Format) -> String) -> Option<Vec<u8>> {
    let end = received.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let Some(head) = end.and_then(|end| received.get(..end)) else {
        return (received.len() >= LONGEST_HEAD)
            .then(|| text("431 Request Header Fields Too Large", "The request is too long.\n"));
    };
    let Some(request) = std::str::from_utf8(head).ok().and_then(Request::parse) else {
        return Some(text("400 Bad Request", "This is not an HTTP/1 request.\n"));
    };
    let response = match (request.method, request.path) {
        ("GET" | "HEAD", "/metrics") => {
            let format = request.format();
            response("200 OK", format.content_type(), &metrics(format))
        }
        ("GET" | "HEAD", "/") => text("200 OK", "wanctl: the metrics are at /metrics\n"),
        ("GET" | "HEAD", "/health") => text("200 OK", "ok\n"),
        (_, "/" | "/health" | "/metrics") => {
            text("405 Method Not Allowed\r\nAllow: GET, HEAD", "Only GET and HEAD.\n")
        }
        _ => text("404 Not Found", "The metrics are at /metrics.\n"),
    };
    Some(if request.method == "HEAD" { without_body(response) } else { response })
}

struct Request<'a> {
    method: &'a str,
    /// Without what follows a `?`.
    path: &'a str,
    headers: Vec<(&'a str, &'a str)>,
}

impl<'a> Request<'a> {
    fn parse(head: &'a str) -> Option<Self> {
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
        Some(Request { method, path: target.split('?').next()?, headers })
    }

    /// OpenMetrics where the client accepts it, and doesn't prefer plain text.
    fn format(&self) -> Format {
        let openmetrics = self.preference("application/openmetrics-text");
        if openmetrics > 0.0 && openmetrics >= self.preference("text/plain") {
            Format::OpenMetrics
        } else {
            Format::Text
        }
    }

    /// The highest `q` that the client gives to a media type; 0 for one that it doesn't name.
    fn preference(&self, media_type: &str) -> f32 {
        self.headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("accept"))
            .flat_map(|(_, value)| value.split(','))
            .filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                if !parts.next()?.eq_ignore_ascii_case(media_type) {
                    return None;
                }
                Some(parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0))
            })
            .fold(0.0, f32::max)
    }
}

fn text(status: &str, body: &str) -> Vec<u8> {
    response(status, "text/plain; charset=utf-8", body)
}

fn response(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The same headers, the length of the body included, and nothing after them.
fn without_body(mut response: Vec<u8>) -> Vec<u8> {
    if let Some(end) = response.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
        response.truncate(end + 4);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(request: &str) -> String {
        let answer = answer(request.as_bytes(), |format| format!("{format:?}\n"));
        String::from_utf8(answer.unwrap()).unwrap()
    }

    fn format(accept: &str) -> String {
        let answer = get(&format!("GET /metrics HTTP/1.1\r\nHost: x\r\naccept:{accept}\r\n\r\n"));
        answer.rsplit_once("\r\n\r\n").unwrap().1.trim_end().to_owned()
    }

    #[test]
    fn an_answer_has_type_and_length_and_ends_the_connection() {
        assert_eq!(
            get("GET /metrics?x=1 HTTP/1.1\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
             Content-Length: 5\r\nConnection: close\r\n\r\nText\n"
        );
        assert!(get("GET / HTTP/1.0\r\n\r\n").ends_with("/metrics\n"));
        assert!(get("GET /health HTTP/1.1\r\n\r\n").ends_with("\r\n\r\nok\n"));
    }

    #[test]
    fn head_is_get_without_the_body() {
        let head = get("HEAD /metrics HTTP/1.1\r\n\r\n");
        assert_eq!(format!("{head}Text\n"), get("GET /metrics HTTP/1.1\r\n\r\n"));
    }

    #[test]
    fn openmetrics_is_for_those_who_ask_for_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0,\
                          application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for accept in [prometheus, "Application/OpenMetrics-Text; q=0.5"] {
            assert_eq!(format(accept), "OpenMetrics", "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/html",
            "application/openmetrics-text;q=0",
            "text/plain,application/openmetrics-text;q=0.9",
        ] {
            assert_eq!(format(accept), "Text", "{accept}");
        }
    }

    #[test]
    fn what_is_not_served_is_said_by_its_status() {
        for (request, status) in [
            ("GET /other HTTP/1.1", "404 Not Found"),
            ("POST /other HTTP/1.1", "404 Not Found"),
            ("POST /metrics HTTP/1.1", "405 Method Not Allowed"),
            ("GET /metrics", "400 "),
            ("GET /metrics HTTP/2", "400 "),
            ("GET  /metrics HTTP/1.1", "400 "),
            ("get /metrics HTTP/1.1", "400 "),
            ("GET http://x/metrics HTTP/1.1", "400 "),
            ("GET /metrics HTTP/1.1\r\nno header", "400 "),
            ("", "400 "),
        ] {
            let answer = get(&format!("{request}\r\n\r\n"));
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
        }
        assert!(get("PUT / HTTP/1.1\r\n\r\n").contains("\r\nAllow: GET, HEAD\r\n"));
        let broken = answer(b"GET /\xff HTTP/1.1\r\n\r\n", |_| String::new()).unwrap();
        assert!(broken.starts_with(b"HTTP/1.1 400 "));
    }

    #[test]
    fn an_incomplete_request_is_waited_for_up_to_the_limit() {
        let nothing = |received: &[u8]| answer(received, |_| String::new());
        assert_eq!(nothing(b""), None);
        assert_eq!(nothing(b"GET /metrics HTTP/1.1\r\n\r"), None);
        assert_eq!(nothing(&[b'a'; LONGEST_HEAD - 1]), None);
        assert!(nothing(&[b'a'; LONGEST_HEAD]).unwrap().starts_with(b"HTTP/1.1 431 "));
    }
}
