//! What is at which path, and in which format the metrics are asked for.

use wanctl_http::{Request, Response, Status};

use crate::exposition::Format;

/// The answer to a request.
///
/// `metrics` makes the exposition; it is called for `GET` and `HEAD` of `/metrics` only.
pub(crate) fn answer(request: &Request<'_>, metrics: impl FnOnce(Format) -> String) -> Response {
    match (request.is_read(), request.path) {
        (true, "/metrics") => {
            let format = format(request);
            let (status, body) = (Status::Ok, metrics(format).into_bytes());
            Response { status, content_type: format.content_type(), body }
        }
        (true, "/") => Response::text(Status::Ok, "wanctl: the metrics are at /metrics\n"),
        (true, "/health") => Response::text(Status::Ok, "ok\n"),
        (false, "/" | "/health" | "/metrics") => {
            Response::text(Status::MethodNotAllowed, "Only GET and HEAD.\n")
        }
        _ => Response::text(Status::NotFound, "The metrics are at /metrics.\n"),
    }
}

/// OpenMetrics where the client accepts it, and doesn't prefer plain text.
fn format(request: &Request<'_>) -> Format {
    let openmetrics = preference(request, "application/openmetrics-text");
    if openmetrics > 0.0 && openmetrics >= preference(request, "text/plain") {
        Format::OpenMetrics
    } else {
        Format::Text
    }
}

/// The highest `q` that the client gives to a media type; 0 for one that it doesn't name.
fn preference(request: &Request<'_>, media_type: &str) -> f32 {
    request
        .header("accept")
        .flat_map(|value| value.split(','))
        .filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            if !parts.next()?.eq_ignore_ascii_case(media_type) {
                return None;
            }
            Some(parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0))
        })
        .fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(head: &str) -> Response {
        answer(&Request::parse(head).unwrap(), |format| format!("{format:?}\n"))
    }

    fn format(accept: &str) -> String {
        let response = get(&format!("GET /metrics HTTP/1.1\r\nHost: x\r\naccept:{accept}"));
        String::from_utf8(response.body).unwrap().trim_end().to_owned()
    }

    #[test]
    fn the_metrics_have_the_type_of_their_format() {
        let response = get("GET /metrics?x=1 HTTP/1.1");
        assert_eq!(response.content_type, "text/plain; version=0.0.4; charset=utf-8");
        assert_eq!(response.body, b"Text\n");
        assert!(get("GET / HTTP/1.0").body.ends_with(b"/metrics\n"));
        assert_eq!(get("GET /health HTTP/1.1").body, b"ok\n");
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
            ("GET /other", Status::NotFound),
            ("POST /other", Status::NotFound),
            ("POST /metrics", Status::MethodNotAllowed),
            ("PUT /", Status::MethodNotAllowed),
        ] {
            assert_eq!(get(&format!("{request} HTTP/1.1")).status, status, "{request}");
        }
    }
}
