//! A server in the test, for what a description's examples cannot show.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A server that gives these answers in turn, the last one for ever, and keeps the requests' heads. `PORT` in an answer is
/// its own.
pub struct Scripted {
    pub port: u16,
    pub requests: Arc<Mutex<Vec<String>>>,
}

pub fn scripted(answers: Vec<String>) -> Scripted {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let kept = requests.clone();
    std::thread::spawn(move || {
        for (i, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let head = head_of(&mut stream);
            kept.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
            let answer = answers[i.min(answers.len() - 1)].replace("PORT", &port.to_string());
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    Scripted { port, requests }
}

pub fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

impl Scripted {
    /// Method and path of each request so far.
    pub fn lines(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests.iter().map(|head| head.split(" HTTP").next().unwrap().to_owned()).collect()
    }
}

/// A request up to its body.
pub fn head_of(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    head
}
