//! What a sandbox cannot reach, and who cannot reach it. Test traffic stays on networks that the tests made.

use onramp::error::Class;

use crate::company::Developer;
use crate::engine;

#[test]
fn nothing_leaves_and_no_other_sandbox_is_reached() {
    let (one, two) = (Developer::new(), Developer::new());
    for dev in [&one, &two] {
        dev.shop();
        dev.in_shop("up").ok();
    }
    let address = two.in_shop("exec web -- hostname -i").ok().stdout.trim().to_owned();
    let reach = |dev: &Developer, url: &str| dev.in_shop("exec web -- curl -sS -m 5 -o /dev/null").arg(url).code();
    assert_eq!(reach(&two, &format!("http://{address}/")), 0, "a sandbox reaches itself");
    // 7: could not connect; 28: no answer.
    let other = reach(&one, &format!("http://{address}/"));
    assert!([7, 28].contains(&other), "the other sandbox is out of reach: curl ended with {other}");
    // The registry's port on the host is in the host's own bridge network, outside of the sandbox's.
    let routes = one.in_shop("exec web -- cat /proc/net/route").ok().stdout;
    assert!(gateway(&routes).starts_with("FE"), "the default gateway is .254, which nobody has: {routes}");
    let arp = one.in_shop("exec web -- cat /proc/net/arp").ok().stdout;
    assert!(
        !arp.lines().any(|line| line.contains(".254 ") && !line.contains("00:00:00:00:00:00")),
        "nobody answers there: {arp}"
    );
}

#[test]
fn egress_is_open_where_the_file_says_so() {
    let dev = Developer::new();
    dev.shop();
    let manifest = dev.read("shop/onramp.toml");
    dev.write("shop/onramp.toml", format!("{manifest}\n[sandbox]\negress = true\n"));
    dev.in_shop("up").ok();
    let routes = dev.in_shop("exec web -- cat /proc/net/route").ok().stdout;
    assert!(gateway(&routes).starts_with("01"), "the default gateway is the bridge: {routes}");
    dev.write("shop/onramp.toml", manifest);
    dev.in_shop("up").ok();
    let routes = dev.in_shop("exec web -- cat /proc/net/route").ok().stdout;
    assert!(gateway(&routes).starts_with("FE"), "closed again without a `down`: {routes}");
}

/// The default gateway of a routing table as the kernel prints it, hexadecimal and reversed.
fn gateway(routes: &str) -> &str {
    let gateways = routes.lines().skip(1).filter_map(|line| line.split_whitespace().nth(2));
    gateways.into_iter().find(|gateway| *gateway != "00000000").expect("a default route")
}

/// A bridge of the machine's own, which the engine does not know of.
struct Bridge(String);

impl Bridge {
    fn with(address: &str) -> Self {
        let bridge = Self(format!("onrf{}", std::process::id()));
        for line in [
            format!("link add {bridge} type bridge", bridge = bridge.0),
            format!("address add {address} dev {}", bridge.0),
            format!("link set {} up", bridge.0),
        ] {
            let done = std::process::Command::new("ip").args(line.split(' ')).output().expect("iproute2 is installed");
            assert!(done.status.success(), "ip {line}: {}", String::from_utf8_lossy(&done.stderr));
        }
        bridge
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = std::process::Command::new("ip").args(["link", "delete", &self.0]).status();
    }
}

#[test]
fn a_subnet_that_somebody_else_has_is_passed_by() {
    let dev = Developer::new();
    dev.shop();
    let preferred = engine::sandbox_of(&dev.path("shop")).preferred_subnet();
    let _foreign = Bridge::with(&format!("10.231.{preferred}.1/24"));
    dev.in_shop("up").ok();
    assert!(dev.page("shop", "shop/web", "/").contains("Fountain pen"));
    let address = dev.in_shop("exec web -- hostname -i").ok().stdout;
    assert!(address.starts_with("10.231.") && !address.starts_with(&format!("10.231.{preferred}.")), "{address}");
}

#[test]
fn programs_have_few_capabilities_and_a_service_that_asks_for_the_machine_is_refused() {
    let dev = Developer::new();
    dev.shop();
    dev.in_shop("up").ok();
    let can =
        || dev.in_shop("exec web -- grep -E").arg("^(CapBnd|CapEff|NoNewPrivs):").arg("/proc/1/status").ok().stdout;
    // CHOWN 0, DAC_OVERRIDE 1, FOWNER 3, FSETID 4, KILL 5, SETGID 6, SETUID 7, NET_BIND_SERVICE 10: capabilities(7).
    assert_eq!(can(), "CapEff:\t00000000000004fb\nCapBnd:\t00000000000004fb\nNoNewPrivs:\t1\n");
    let manifest = dev.read("shop/onramp.toml");
    let with = |line: &str| {
        dev.write("shop/onramp.toml", manifest.replacen("port = 80\n", &format!("port = 80\n{line}\n"), 1))
    };
    with("cap_add = [\"SYS_NICE\"]");
    dev.in_shop("up").ok();
    assert_eq!(can(), "CapEff:\t00000000008004fb\nCapBnd:\t00000000008004fb\nNoNewPrivs:\t1\n");
    let line = dev.read("shop/onramp.toml").lines().position(|line| line.starts_with("cap_add")).unwrap() + 1;
    for asked in [
        "privileged = true",
        "network_mode = \"host\"",
        "volumes = [\"/var/run/docker.sock:/var/run/docker.sock\"]",
        "volumes = [\"../..:/up\"]",
        "cap_add = [\"NET_ADMIN\"]",
    ] {
        with(asked);
        let refused = dev.in_shop("up").fails(Class::Security);
        assert!(refused.stderr.contains(&format!("onramp.toml:{line}:1: services.web: ")), "{refused}");
    }
    dev.write("shop/onramp.toml", manifest.as_str());
    assert_eq!(can(), "CapEff:\t00000000008004fb\nCapBnd:\t00000000008004fb\nNoNewPrivs:\t1\n", "it runs as it did");
}

#[test]
fn ports_are_published_on_loopback_only() {
    let dev = Developer::new();
    dev.shop();
    dev.in_shop("up").ok();
    let port = format!("{:04X}", dev.port("shop", "shop/web"));
    let mut listening = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        let fields = text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
        // Field 1 is the local address, field 3 the state; 0A is LISTEN.
        let listeners = fields.filter(|f| f[3] == "0A" && f[1].ends_with(&format!(":{port}")));
        listening.extend(listeners.map(|f| f[1].to_owned()));
    }
    assert_eq!(listening, [format!("0100007F:{port}")], "127.0.0.1 and nothing else");
}

#[test]
fn a_service_writes_to_its_image_only_where_it_may() {
    let dev = Developer::new();
    dev.shop();
    let writes = |service: &str| {
        let touch = |path: &str| dev.in_shop("exec").arg(service).arg("--").arg("touch").arg(path).code() == 0;
        ["/etc/x", "/tmp/x", "/run/x", "/var/lock/x", "/cache/x"].map(touch)
    };
    dev.in_shop("up").ok();
    assert_eq!(writes("web"), [true, true, true, true, false], "its image says nothing");
    assert_eq!(writes("auth/api"), [false, true, true, true, false], "its image says that it need not");

    let manifest = dev.read("shop/onramp.toml");
    let with = |lines: &str| {
        dev.write("shop/onramp.toml", manifest.replacen("port = 80\n", &format!("port = 80\n{lines}\n"), 1))
    };
    with("read_only = true\ntmpfs = [\"/cache\"]");
    dev.in_shop("up").ok();
    assert_eq!(writes("web"), [false, true, true, true, true]);
    assert!(dev.page("shop", "shop/web", "/").contains("Fountain pen"), "it answers all the same");
    let memory = dev
        .in_shop("exec web -- grep -cE")
        .arg("^tmpfs (/tmp|/run|/run/lock|/cache) .*size=262144k")
        .arg("/proc/mounts");
    assert_eq!(memory.ok().stdout.trim(), "4", "in memory, and no more of it than that");

    dev.write("shop/Dockerfile", format!("{}LABEL dev.onramp.read-only=true\n", dev.read("shop/Dockerfile")));
    with("");
    dev.in_shop("up").ok();
    assert_eq!(writes("web"), [false, true, true, true, false], "its image says so");
    with("read_only = false");
    dev.in_shop("up").ok();
    assert_eq!(writes("web"), [true, true, true, true, false], "the project knows better");
}

#[test]
fn a_secret_is_a_file_in_memory_and_nowhere_else() {
    let dev = Developer::new();
    dev.shop();
    let manifest = dev.read("shop/onramp.toml");
    let env = "TOKEN_FILE = { secret = \"shop/api-token\", file = true }, DB_HOST = \"db\"";
    dev.write("shop/onramp.toml", manifest.replacen("DB_HOST = \"db\"", env, 1));
    dev.in_shop("up").ok();
    let file = "/run/secrets/shop/api-token";
    assert_eq!(dev.in_shop("exec web -- printenv TOKEN_FILE").ok().stdout.trim(), file);
    // As Apache's own user.
    let secret = || dev.in_shop("exec web -- setpriv --reuid=33 --clear-groups cat").arg(file).ok().stdout;
    let value = secret();
    assert_eq!(value.len(), 32, "{value}");
    let memory = dev.in_shop("exec web -- grep -c").arg("^tmpfs /run/secrets tmpfs ro,").arg("/proc/mounts");
    assert_eq!(memory.ok().stdout.trim(), "1", "in memory, to be read only");

    let id = engine::sandbox_of(&dev.path("shop"));
    let (shop, web) = ("shop".parse().unwrap(), "web".parse().unwrap());
    let (container, volume) = (id.container(&shop, &web), id.secrets(&shop, &web));
    assert!(!engine::described(&container).contains(&value), "the engine tells nobody");
    assert!(!engine::containers(&format!("onramp.{id}.")).iter().any(|name| name.contains("carrier")));
    let list = dev.in_shop("list --json").ok().json();
    let volumes = |list: &serde_json::Value| {
        let all = list["sandboxes"].as_array().unwrap();
        all.iter().find(|found| found["sandbox"] == id.as_str()).map(|found| found["volumes"].clone())
    };
    assert_eq!(volumes(&list), Some(1.into()), "it is no data");

    // As after a restart of the machine: what was in memory is gone.
    engine::stop(&container);
    dev.in_shop("up").ok();
    assert_eq!(secret(), value, "the same again");
    assert!(!dev.in_shop("parity --json").ok().json().to_string().contains(&value));
    dev.in_shop("down").ok();
    assert!(!engine::has_volume(&volume), "it goes without --data");
    dev.in_shop("down --data --yes").ok();
}
