//! Planted faults: patches that each leave out one rule of the design. What does not catch one proves nothing about that rule.
//! Not here: the patches (`xtask/plants`), how they are tried (`trial`), what judges (`moim-loadtest check`, the crates' tests).

mod table;
mod tree;
pub(crate) mod trial;

use std::fmt;

use crate::fault::Fault;

pub(crate) use table::PLANTS;

const PATCHES: &str = "xtask/plants";

/// One of them.
pub(crate) struct Plant {
    /// Also the name of its patch.
    pub(crate) name: &'static str,
    /// The rule that it leaves out.
    pub(crate) rule: &'static str,
    pub(crate) caught_by: CaughtBy,
}

/// What must fail because of it, and passes without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CaughtBy {
    /// The drill's fault of this name: the checker finds a violation.
    Drill(&'static str),
    /// A test, where it shows the fault faster or more surely.
    Test(Test),
}

/// One test of one crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Test {
    pub(crate) package: &'static str,
    /// `None`: among the unit tests.
    pub(crate) target: Option<&'static str>,
    /// With its modules.
    pub(crate) name: &'static str,
    /// In what it says when it fails: so it failed for this, and not because a server was late.
    pub(crate) says: &'static str,
}

impl Test {
    /// As cargo selects them.
    fn selection(&self) -> Vec<&'static str> {
        let package = ["--package", self.package];
        match self.target {
            Some(target) => [&package[..], &["--test", target]].concat(),
            None => [&package[..], &["--lib"]].concat(),
        }
    }
}

impl fmt::Display for CaughtBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drill(fault) => write!(f, "drill {fault}"),
            Self::Test(Test { package, target: Some(target), name, .. }) => {
                write!(f, "{package} {target} {name}")
            }
            Self::Test(Test { package, name, .. }) => write!(f, "{package} {name}"),
        }
    }
}

/// The plants of these names, or all of them.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<&'static Plant>, Fault> {
    if names.iter().any(|name| name == "all") {
        return Ok(PLANTS.iter().collect());
    }
    let named = |name: &String| {
        PLANTS.iter().find(|plant| plant.name == name).ok_or_else(|| {
            let names: Vec<_> = PLANTS.iter().map(|plant| plant.name).collect();
            Fault::new(
                format!("no plant is called {name}"),
                format!("`all`, or some of {}", names.join(", ")),
            )
        })
    };
    names.iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::drill::faults;

    #[test]
    fn every_plant_has_a_patch_and_a_fault_and_every_patch_a_plant() {
        let folder = crate::workspace::root().join(PATCHES);
        let patches: BTreeSet<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let wanted: BTreeSet<_> = PLANTS.iter().map(|plant| format!("{}.patch", plant.name)).collect();
        assert_eq!(patches, wanted);
        assert_eq!(wanted.len(), PLANTS.len(), "two plants of one name");
        for plant in PLANTS {
            if let CaughtBy::Drill(fault) = plant.caught_by {
                assert!(faults::named(fault).is_ok(), "{}", plant.name);
            }
        }
    }

    #[test]
    fn every_patch_applies_to_the_tree_as_it_is() {
        let root = crate::workspace::root();
        let rotten: Vec<_> = PLANTS
            .iter()
            .filter(|plant| {
                let mut check = std::process::Command::new("git");
                check.current_dir(&root).args(["apply", "--check"]).arg(tree::patch_of(&root, plant));
                let output = check.output().unwrap();
                eprint!("{}", String::from_utf8_lossy(&output.stderr));
                !output.status.success()
            })
            .map(|plant| plant.name)
            .collect();
        assert!(rotten.is_empty(), "the code has moved on, make these patches anew: {rotten:?}");
    }

    #[test]
    fn every_test_that_is_named_is_there() {
        let mut texts = String::new();
        read_all(&crate::workspace::root().join("crates"), &mut texts);
        for plant in PLANTS {
            if let CaughtBy::Test(test) = plant.caught_by {
                let function = test.name.rsplit("::").next().unwrap();
                assert!(texts.contains(&format!("fn {function}(")), "{}: {}", plant.name, test.name);
            }
        }
    }

    fn read_all(folder: &Path, texts: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read_all(&path, texts);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                texts.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }
}
