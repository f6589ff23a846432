//! Files with YAML, and folders with such files.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{Connect, Source, Unknown};
use crate::resources::{Document, documents};

/// All documents of these files. A folder stands for the `.yaml` and `.yml` files in it.
pub(super) fn read(places: &[PathBuf]) -> Result<Vec<Document>, Unknown> {
    let mut found = Vec::new();
    for place in places {
        let unread = |error: io::Error| Unknown(format!("reading {}: {error}", place.display()));
        for file in listed(place).map_err(unread)? {
            let unread = |error: io::Error| Unknown(format!("reading {}: {error}", file.display()));
            let text = text(&file).map_err(unread)?;
            found.extend(documents(&text));
        }
    }
    Ok(found)
}

/// The file itself, or the files of a folder.
fn listed(place: &Path) -> io::Result<Vec<PathBuf>> {
    if !place.is_dir() {
        return Ok(vec![place.to_owned()]);
    }
    let entries = fs::read_dir(place)?.collect::<io::Result<Vec<_>>>()?;
    let is_yaml = |path: &PathBuf| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        matches!(ending, Some("yaml" | "yml")) && !path.is_dir()
    };
    let files = entries.into_iter().map(|entry| entry.path());
    let mut files: Vec<_> = files.filter(is_yaml).collect();
    files.sort_unstable();
    Ok(files)
}

fn text(file: &Path) -> io::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    }
}

/// A problem, and in which files it is.
pub(super) fn at(connect: &Connect, problem: &str) -> String {
    let Source::Component { files, .. } = &connect.source else {
        return problem.to_owned();
    };
    let files: Vec<_> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    format!("{}: {problem}", files.join(", "))
}
