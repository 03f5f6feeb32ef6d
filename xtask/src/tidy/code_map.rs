//! The code map of `crates/README.md` is the truth about who may use whom: this holds the manifests against it.
//! Not here: how the table is read (`code_map/table.rs`) and how manifests are (`manifest`).

mod table;

use super::finding::Finding;
use super::manifest::{Dependency, Manifests, Member};
use super::tree::Tree;
use table::{Cell, Row, Table};

const README: &str = "crates/README.md";

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let manifests = Manifests::read(tree);
    let mut findings = Vec::new();
    match tree.file(README).map(|file| table::read(&file.text)) {
        None => findings.push(no_map(1, format!("there is no {README}"))),
        Some(Err((line, what))) => findings.push(no_map(line, what)),
        Some(Ok(table)) => {
            findings.extend(rows_match_members(&table, &manifests));
            for row in &table.rows {
                if let Some(position) = manifests.position(&row.member) {
                    findings.extend(ours(row, &manifests, position));
                    findings.extend(vendors(row, &table, &manifests, position));
                }
            }
        }
    }
    manifests.findings.into_iter().chain(findings).collect()
}

fn no_map(line: usize, what: String) -> Finding {
    Finding {
        path: README.to_owned(),
        line,
        what,
        why: "without the code map nobody can say which crate may use which",
        instead: format!(
            "under a heading `{}`, a table with the columns {}",
            table::HEADING,
            table::COLUMNS.join(" | ")
        ),
    }
}

/// Every member has one row, every row is a member.
fn rows_match_members(table: &Table, manifests: &Manifests) -> Vec<Finding> {
    let why = "the code map is what people read first, and must show all that is there and nothing else";
    let rows_of =
        |position| table.rows.iter().filter(move |row| manifests.position(&row.member) == Some(position));
    let missing =
        manifests.members.iter().enumerate().filter(|(position, _)| rows_of(*position).count() == 0);
    let missing = missing.map(|(_, member)| Finding {
        path: "Cargo.toml".to_owned(),
        line: member.listed_on,
        what: format!("member `{}` is not in the code map", member.package),
        why,
        instead: format!("add its row to {README}, or find the crate that should own its code"),
    });
    let unknown = table.rows.iter().enumerate().filter_map(|(index, row)| {
        let what = match manifests.position(&row.member) {
            None => format!("`{}` is in the code map, but is no member of the workspace", row.member),
            Some(member)
                if table.rows[..index].iter().any(|row| manifests.position(&row.member) == Some(member)) =>
            {
                format!("`{}` is in the code map twice", row.member)
            }
            Some(_) => return None,
        };
        let instead = "one row for each member, by the name of its package or of its folder".to_owned();
        Some(Finding { path: README.to_owned(), line: row.line, what, why, instead })
    });
    missing.chain(unknown).collect()
}

/// Our own crates: only those the row names, and only from the list above this one.
fn ours(row: &Row, manifests: &Manifests, position: usize) -> Vec<Finding> {
    let member = &manifests.members[position];
    let mut findings = Vec::new();
    if let Cell::Names(names) = &row.ours {
        let unknown = names.iter().filter(|name| manifests.position(name).is_none_or(|at| at >= position));
        findings.extend(unknown.map(|name| Finding {
            path: README.to_owned(),
            line: row.line,
            what: format!("the row of `{}` allows `{name}`, which is no member listed before it", row.member),
            why: "an arrow only points to a lower layer, and the order of the members is the layering",
            instead: "name an earlier member of the workspace".to_owned(),
        }));
    }
    for dependency in member.shipped() {
        let Some(at) = manifests.position(&dependency.package) else { continue };
        let used = &manifests.members[at];
        let allowed = match &row.ours {
            Cell::All => true,
            Cell::Names(names) => names.iter().any(|name| *name == used.package || name == used.short()),
        };
        if !allowed {
            findings.push(at_dependency(
                member,
                dependency,
                format!("`{}` may not use `{}`", member.package, used.package),
                "each crate stays testable and readable alone by what it cannot reach",
                format!("move the code to a crate that may (code map of {README}), or pass the value in through a trait"),
            ));
        }
        if at >= position {
            findings.push(at_dependency(
                member,
                dependency,
                format!("`{}` uses `{}`, which comes later in the workspace", member.package, used.package),
                "an arrow only points to a lower layer, and the order of the members is the layering",
                "turn the dependency around, or move the shared thing down to a crate below both".to_owned(),
            ));
        }
    }
    findings
}

/// Vendors named in a row: no other crate of the product may depend on them, and the crate itself does.
fn vendors(row: &Row, table: &Table, manifests: &Manifests, position: usize) -> Vec<Finding> {
    let Cell::Names(vendors) = &row.vendors else {
        return vec![no_map(row.line, "`all` means nothing in the column of vendors".to_owned())];
    };
    let owner = &manifests.members[position];
    let mut findings = Vec::new();
    for vendor in vendors {
        let uses = |member: &Member| member.shipped().any(|dependency| dependency.package == *vendor);
        if !uses(owner) {
            findings.push(Finding {
                path: README.to_owned(),
                line: row.line,
                what: format!("`{vendor}` is fenced into `{}`, which does not depend on it", row.member),
                why: "a fence with a misspelled name holds nothing back",
                instead: format!(
                    "the name of a package in [dependencies] of {}, or nothing",
                    owner.manifest()
                ),
            });
        }
        let may_too = |member: &Member| {
            // Tools outside the product (loadtest, xtask) choose freely: they fence nothing in.
            !member.folder.starts_with("crates/") || table.allows(member, vendor, manifests)
        };
        for member in manifests.members.iter().filter(|member| !may_too(member)) {
            for dependency in member.shipped().filter(|dependency| dependency.package == *vendor) {
                findings.push(at_dependency(
                    member,
                    dependency,
                    format!(
                        "`{}` may not depend on `{vendor}`: only `{}` may",
                        member.package, owner.package
                    ),
                    "a vendor kept in one crate can be replaced there, and its types cannot leak",
                    format!("ask `{}` for what is needed, in our own types", owner.package),
                ));
            }
        }
    }
    findings
}

fn at_dependency(
    member: &Member,
    dependency: &Dependency,
    what: String,
    why: &'static str,
    instead: String,
) -> Finding {
    Finding { path: member.manifest(), line: dependency.line, what, why, instead }
}

#[cfg(test)]
mod tests;
