//! What Cookiecutter takes for a binary file and copies as it is.

/// How much of a file is looked at, in bytes.
const LOOKED_AT: usize = 512;

/// Endings of names that are enough, as binaryornot 0.6 has them.
const EXTENSIONS: &str = " 3ds blend dae fbx glb stl usdz 7z bz2 cab gz jar lz lz4 lzma rar tar xz z zip zst aac aif \
    aiff alac ape flac m4a mid midi mp3 ogg opus wav wma dwg dwf dxb step stp class dll o pyc pyo so wasm accdb db dbf \
    mdb sqlite sqlite3 dmg img iso qcow2 vdi vhd vmdk doc docx epub mobi odt pages pdf ppt pptx xls xlsx com exe msi \
    bin fw rom eot otf ttc ttf woff woff2 gba n64 nds nes pak sav sfc smc shp shx avif bmp cr2 cr3 dng gif heic heif \
    ico jfif jp2 jpeg jpg jxl nef orf png psd raw tif tiff webp xcf arrow avro fit fits hdf5 mat npy npz parquet pcap \
    pcapng avi flv m4v mkv mov mp4 mpeg mpg ogv webm wmv ";

/// Whether a file is one.
pub fn is(name: &str, contents: &[u8]) -> bool {
    let extension = match name.rfind('.') {
        Some(dot) if dot > 0 && dot + 1 < name.len() => name[dot + 1..].to_lowercase(),
        _ => String::new(),
    };
    let known = !extension.is_empty()
        && extension.bytes().all(|b| b.is_ascii_alphanumeric())
        && EXTENSIONS.contains(&format!(" {extension} "));
    known || contents[..contents.len().min(LOOKED_AT)].contains(&0) || std::str::from_utf8(contents).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binaries_are_known_by_name_or_contents() {
        assert!(is("a.PNG", b"text"));
        assert!(is("a", b"a\0b"));
        assert!(is("a", b"\xff\xfe"));
        for name in ["a.txt", ".png", "png", "a.", "a.3ds blend"] {
            assert!(!is(name, "é\n".as_bytes()), "{name}");
        }
    }
}
