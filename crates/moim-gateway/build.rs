//! Puts the page and the client module into the binary, each file plain, as gzip and as Brotli.
//! Not here: serving them (`src/http/page.rs`).

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Folder, and what its files begin with in an address.
const FOLDERS: [(&str, &str); 2] = [("web", "assets/"), ("../../clients/js/src", "client/")];
const PAGE: &str = "assets/index.html";
/// Where the page names its modules, so that a browser asks for all of them at once.
const MODULES_MARK: &str = "<!-- modules -->\n";
/// Asked for by the page's own script element.
const MAIN_MODULE: &str = "assets/page.js";

fn main() -> io::Result<()> {
    // What cargo reads from a build script.
    let mut cargo = io::stdout();
    let mut files = BTreeMap::new();
    for (folder, prefix) in FOLDERS {
        writeln!(cargo, "cargo::rerun-if-changed={folder}")?;
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            writeln!(cargo, "cargo::rerun-if-changed={}", path.display())?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path)?;
            let shipped = if name.ends_with(".js") { without_comments(&name, &text)? } else { text };
            files.insert(format!("{prefix}{name}"), shipped.into_bytes());
        }
    }
    let page = files.remove(PAGE).ok_or_else(|| io::Error::other(format!("there is no {PAGE}")))?;
    let page = String::from_utf8(page).map_err(io::Error::other)?.replace(MODULES_MARK, &modules(&files));
    files.insert(String::new(), page.into_bytes());

    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("no OUT_DIR"))?);
    let mut table = String::from("static ASSETS: &[Asset] = &[\n");
    for (index, (path, bytes)) in files.iter().enumerate() {
        table.push_str(&asset(&out, index, path, bytes)?);
    }
    table.push_str("];\n");
    fs::write(out.join("assets.rs"), table)
}

/// A third of our modules are comments, which no browser needs. Their lines stay, empty, so that a line that an error
/// names is the same in the repository. Only whole lines go: telling a comment behind code from a string takes a parser.
fn without_comments(name: &str, text: &str) -> io::Result<String> {
    let mut kept = String::with_capacity(text.len());
    let mut in_block = false;
    for line in text.lines() {
        let code = line.trim_start();
        if line.matches('`').count() % 2 == 1 {
            return Err(io::Error::other(format!(
                "{name}: a template over several lines could look like a comment"
            )));
        }
        let opens = !in_block && code.starts_with("/*");
        let is_comment = in_block || opens || code.starts_with("//");
        in_block = (in_block || opens) && !code.contains("*/");
        if !is_comment {
            kept.push_str(line);
        } else if let Some((_, rest)) = code.split_once("*/").filter(|(_, rest)| !rest.trim().is_empty()) {
            // `/** @type {…} */ (value)`: the code behind the comment.
            kept.push_str(rest);
        }
        kept.push('\n');
    }
    Ok(kept)
}

fn modules(files: &BTreeMap<String, Vec<u8>>) -> String {
    let needed = files.keys().filter(|path| path.ends_with(".js") && *path != MAIN_MODULE);
    needed.fold(String::new(), |mut links, path| {
        // Writing to a string cannot fail.
        writeln!(links, "  <link rel=\"modulepreload\" href=\"/{path}\">").unwrap_or_default();
        links
    })
}

/// Writes the three forms of a file; answers its row of the table.
fn asset(out: &Path, index: usize, path: &str, bytes: &[u8]) -> io::Result<String> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(bytes)?;
    let parameters = brotli::enc::BrotliEncoderParams { quality: 11, ..Default::default() };
    let mut small = Vec::new();
    brotli::BrotliCompress(&mut &*bytes, &mut small, &parameters)?;

    let mut hash = DefaultHasher::new();
    bytes.hash(&mut hash);
    let mut row = format!("    Asset {{ path: {path:?}, tag: \"{:016x}\"", hash.finish());
    for (form, content) in [("plain", bytes), ("gzip", &gzip.finish()?), ("brotli", &small)] {
        let file = out.join(format!("{index}.{form}"));
        fs::write(&file, content)?;
        write!(row, ", {form}: include_bytes!({:?})", file.display().to_string())
            .map_err(io::Error::other)?;
    }
    Ok(row + " },\n")
}
