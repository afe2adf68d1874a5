//! Projects whose services start at once: of the practice company's PHP image, in which Perl is, too.

use std::sync::Once;

use crate::company::Developer;
use crate::engine;

/// A program that does nothing, and ends when it is asked to.
pub const IDLE: &str = r#"["perl", "-e", "$SIG{TERM} = sub { exit }; sleep 1 while 1"]"#;

/// A program with data: it takes its seeds where there are none yet, and then answers with them on port 5000. As with databases, what it was
/// ended in the middle of looks to it as if it were all.
const DATABASE: &str = r#"
$SIG{TERM} = sub { exit };
if (! -e "/data/seed") {
    my $from = "/docker-entrypoint-initdb.d";
    opendir my $seeds, $from or die "$from: $!\n";
    open my $all, ">", "/data/seed" or die "/data/seed: $!\n";
    for (sort grep /^[^.]/, readdir $seeds) {
        open my $one, "<", "$from/$_" or die "$from/$_: $!\n";
        while (<$one>) { print $all $_ or die "/data/seed: $!\n" }
    }
    close $all or die "/data/seed: $!\n";
}
my $s;
socket($s, 2, 1, 6) && setsockopt($s, 1, 2, 1) && bind($s, pack("S n N x8", 2, 5000, 0)) && listen($s, 8) or die $!;
while (1) {
    accept(my $c, $s) or next;
    open my $seed, "<", "/data/seed" or die;
    syswrite $c, "HTTP/1.0 200 OK\r\n\r\n" . <$seed>;
}
"#;

/// The image that all of it runs on.
pub fn base(dev: &Developer) -> String {
    format!("{}/base/php-apache:8.2", dev.registry())
}

/// A much smaller one, for engines that must pull it first.
pub fn small(dev: &Developer) -> String {
    static PUSHED: Once = Once::new();
    let repository = format!("{}/test/tiny", dev.registry());
    PUSHED.call_once(|| {
        engine::import(&["/bin/sh", "/bin/cat", "/usr/bin/perl"], &repository, "1");
        engine::push(&repository, "1");
    });
    format!("{repository}:1")
}

/// The service `db` of a manifest, seeded from `seed.sql`.
pub fn database(base: &str) -> String {
    format!(
        "[services.db]\nimage = \"{base}\"\ncommand = [\"perl\", \"-e\", '''{DATABASE}''']\nuser = \"0\"\nport = 5000\n\
         data = \"/data\"\nseed = [\"seed.sql\"]\n"
    )
}

/// A file of the data of `db`.
pub fn read(dev: &Developer, directory: &str, file: &str) -> String {
    dev.onramp("exec db -- cat").arg(format!("/data/{file}")).dir(directory).ok().stdout.trim().to_owned()
}

/// Writes one.
pub fn write(dev: &Developer, directory: &str, file: &str, text: &str) {
    let line = format!("printf %s '{text}' > /data/{file}");
    dev.onramp("exec db -- sh -c").arg(line).dir(directory).ok();
}
