//! `up --xdebug`: PHP's own Xdebug, and an editor that is this test.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use onramp::error::Class;

use crate::company::Developer;

/// How long is waited for what must come.
const LIMIT: Duration = Duration::from_mins(1);

/// What Xdebug says next: a length, a document, each with a zero at its end.
fn said(connection: &mut TcpStream) -> String {
    let mut part = || {
        let mut bytes = Vec::new();
        let mut byte = [0];
        while connection.read(&mut byte).unwrap() == 1 && byte[0] != 0 {
            bytes.push(byte[0]);
        }
        String::from_utf8(bytes).unwrap()
    };
    part();
    part()
}

/// An editor that waits for a connection.
fn accepts(editor: &TcpListener) -> TcpStream {
    let (connection, _) = editor.accept().unwrap();
    connection.set_read_timeout(Some(LIMIT)).unwrap();
    connection
}

#[test]
fn a_request_stops_at_the_editor_and_only_while_it_was_asked_for() {
    let dev = Developer::new();
    dev.shop();
    // Any port will do: tests run at once.
    let editor = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = editor.local_addr().unwrap().port();
    let up = dev.in_shop(&format!("up --xdebug --xdebug-port {port}")).ok();
    assert!(up.stderr.contains("debug   shop/web"), "{up}");
    assert!(up.stderr.contains("Xdebug of web reaches an editor that listens at 127.0.0.1:"), "{up}");

    std::thread::scope(|threads| {
        let page = threads.spawn(|| dev.page("shop", "shop/web", "/"));
        let mut connection = accepts(&editor);
        let init = said(&mut connection);
        assert!(init.contains("<init ") && init.contains("language=\"PHP\""), "{init}");
        assert!(init.contains("fileuri=\"file:///var/www/html/index.php\""), "{init}");
        connection.write_all(b"feature_get -i 1 -n language_version\0").unwrap();
        let version = said(&mut connection);
        assert!(version.contains("command=\"feature_get\"") && version.contains("8.2"), "{version}");
        assert!(!page.is_finished(), "it waits for the editor");
        connection.write_all(b"detach -i 2\0").unwrap();
        assert!(page.join().unwrap().contains("Fountain pen"));
    });
    drop(editor);
    assert!(dev.page("shop", "shop/web", "/").contains("Fountain pen"), "without an editor it goes on");

    let up = dev.in_shop("up").ok();
    assert!(up.stderr.contains("replace shop/web"), "{up}");
    assert!(!dev.in_shop("exec web -- php -m").ok().stdout.contains("Xdebug"), "it is not even loaded");
    assert_ne!(dev.in_shop("exec web -- printenv XDEBUG_MODE").code(), 0);
}

#[test]
fn what_has_no_xdebug_is_told_how_to_get_it() {
    let dev = Developer::new();
    dev.shop();
    let without = "RUN rm \"$(php -r 'echo ini_get(\"extension_dir\");')/xdebug.so\"\n";
    dev.write("shop/Dockerfile", format!("{}{without}", dev.read("shop/Dockerfile")));
    let missing = dev.in_shop("up --xdebug").fails(Class::Config);
    assert!(missing.stderr.contains("error: the image of web has no Xdebug"), "{missing}");
    assert!(missing.stderr.contains("php-xdebug && phpdismod xdebug"), "{missing}");
    let none = dev.in_shop("up --xdebug=db").fails(Class::Usage);
    assert!(none.stderr.contains("the image of db runs no `php`"), "{none}");
    let unknown = dev.in_shop("up --xdebug=wbe").fails(Class::Usage);
    assert!(unknown.stderr.contains("onramp.toml has no [services.wbe]"), "{unknown}");
}
