//! A server in the test, for what a description's examples cannot show.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// A server that gives these answers in turn, the last one for ever, and keeps the requests' heads and their JSON. `PORT` in an answer is
/// its own.
pub struct Scripted {
    pub port: u16,
    pub requests: Arc<Mutex<Vec<String>>>,
    bodies: Arc<Mutex<Vec<Value>>>,
}

pub fn scripted(answers: Vec<String>) -> Scripted {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let (kept, sent) = (requests.clone(), bodies.clone());
    std::thread::spawn(move || {
        for (i, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let head = head_of(&mut stream);
            let head = String::from_utf8_lossy(&head).into_owned();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            kept.lock().unwrap().push(head);
            if !body.is_empty() {
                sent.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
            }
            let answer = answers[i.min(answers.len() - 1)].replace("PORT", &port.to_string());
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    Scripted { port, requests, bodies }
}

pub fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

impl Scripted {
    /// What each request said under this key, of those that said something there.
    pub fn sent(&self, key: &str) -> Vec<String> {
        let bodies = self.bodies.lock().unwrap();
        bodies.iter().filter_map(|body| Some(body.get(key)?.as_str()?.to_owned())).collect()
    }

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
