//! `onramp hostnames ca`

use std::path::Path;

use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::sandbox::router;

/// Print the certificate that browsers have to trust, and say how they are told.
///
/// It is made on this machine, its key stays with you, and it says that it may be believed about names below localhost alone.
/// onramp does not put it anywhere by itself.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp hostnames ca
  onramp hostnames ca | sudo tee /usr/local/share/ca-certificates/onramp.crt && sudo update-ca-certificates
  curl --cacert \"$(onramp hostnames ca --json | jq -r .path)\" https://web.shop-main-1a2b3c4d.localhost:8443/
")]
pub struct Arguments {}

#[derive(Serialize)]
struct Certificate<'a> {
    path: &'a Path,
    pem: &'a str,
}

impl Arguments {
    /// Makes it on first use.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let authority = router::authority(&cx.paths).await?;
        let path = authority.certificate.display();
        for how in [
            format!(
                "Debian: sudo cp {path} /usr/local/share/ca-certificates/onramp.crt && sudo update-ca-certificates"
            ),
            format!("Fedora: sudo trust anchor {path}"),
            format!("Chrome: certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n onramp -i {path}"),
            "Firefox: Settings, Certificates, Authorities, Import".to_owned(),
        ] {
            cx.observer.note(&how);
        }
        cx.report(&Certificate { path: &authority.certificate, pem: &authority.pem });
        Ok(Verdict::Ok)
    }
}

impl Report for Certificate<'_> {
    fn text(&self) -> String {
        self.pem.to_owned()
    }
}
