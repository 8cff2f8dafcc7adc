//! What a generator gives together with what those before it give: each with each, or its values where some of them are the same.
//! Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::Element;

/// Why elements cannot be put together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Apart {
    /// They are too many.
    #[error("the template is made for {count}; the limit is {max}")]
    TooMany {
        /// How many they would be.
        count: usize,
        /// How many they may be.
        max: usize,
    },
    /// Two generators of a product give the same name.
    #[error("two generators give {{{0}}}: set prefix in one of them")]
    Both(String),
    /// Something that is merged lacks what it is merged by.
    #[error("{of} has no {{{name}}} to merge by")]
    Missing {
        /// What lacks it.
        of: String,
        /// The name.
        name: String,
    },
    /// Two that are merged are the same.
    #[error("{one} and {other} are the same by what is merged by: {by}")]
    Twice {
        /// The first.
        one: String,
        /// The second.
        other: String,
        /// The values.
        by: String,
    },
}

/// Each of the one with each of the other, at most this many.
///
/// # Errors
/// Where they are more, or a name is in both.
pub fn product(one: &[Element], other: &[Element], max: usize) -> Result<Vec<Element>, Apart> {
    let count = one.len().saturating_mul(other.len());
    if count > max {
        return Err(Apart::TooMany { count, max });
    }
    let names: BTreeSet<&String> = one.iter().flat_map(|element| element.values.keys()).collect();
    if let Some(both) = other.iter().flat_map(|element| element.values.keys()).find(|name| names.contains(name)) {
        return Err(Apart::Both(both.clone()));
    }
    let both = |a: &Element, b: &Element| Element {
        values: a.values.iter().chain(&b.values).map(|(name, value)| (name.clone(), value.clone())).collect(),
        of: format!("{}, {}", a.of, b.of),
    };
    Ok(one.iter().flat_map(|a| other.iter().map(move |b| both(a, b))).collect())
}

/// Each of the one, with the values of that of the other whose values by these names are the same; of a name in both the other's
/// counts. What of the other is the same as none of the one is left out.
///
/// # Errors
/// Where one of the other has no such value, or two of it have the same.
pub fn merged(one: Vec<Element>, other: &[Element], by: &[String]) -> Result<Vec<Element>, Apart> {
    let mut known: BTreeMap<Vec<&String>, &Element> = BTreeMap::new();
    for element in other {
        let values = by.iter().map(|name| {
            let missing = || Apart::Missing { of: element.of.clone(), name: name.clone() };
            element.values.get(name).ok_or_else(missing)
        });
        let values = values.collect::<Result<Vec<&String>, Apart>>()?;
        let shown =
            by.iter().zip(&values).map(|(name, value)| format!("{name} = {value:?}")).collect::<Vec<_>>().join(", ");
        if let Some(first) = known.insert(values, element) {
            return Err(Apart::Twice { one: first.of.clone(), other: element.of.clone(), by: shown });
        }
    }
    let with = |mut element: Element| {
        let values: Option<Vec<&String>> = by.iter().map(|name| element.values.get(name)).collect();
        if let Some(found) = values.and_then(|values| known.get(&values)) {
            element.values.extend(found.values.clone());
        }
        element
    };
    Ok(one.into_iter().map(with).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(values: &[(&str, &str)]) -> Element {
        let of = values.iter().map(|(_, value)| *value).collect::<Vec<_>>().join("/");
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Element { values, of }
    }

    #[test]
    fn a_product_has_each_with_each() {
        let clusters = [element(&[("cluster", "eu")]), element(&[("cluster", "us")])];
        let apps = [element(&[("app", "shop")]), element(&[("app", "cart")])];
        let all = product(&apps, &clusters, 4).unwrap();
        let told: Vec<String> =
            all.iter().map(|one| format!("{}@{}", one.values["app"], one.values["cluster"])).collect();
        assert_eq!(told, ["shop@eu", "shop@us", "cart@eu", "cart@us"]);
        assert_eq!(product(&apps, &[], 4), Ok(vec![]));
        assert_eq!(product(&apps, &clusters, 3), Err(Apart::TooMany { count: 4, max: 3 }));
        assert_eq!(product(&apps, &apps, 4), Err(Apart::Both("app".to_owned())));
    }

    #[test]
    fn what_is_merged_adds_its_values_where_others_are_the_same() {
        let clusters = vec![element(&[("cluster", "eu"), ("size", "s")]), element(&[("cluster", "us"), ("size", "s")])];
        let by = ["cluster".to_owned()];
        let large =
            [element(&[("cluster", "us"), ("size", "l"), ("zone", "b")]), element(&[("cluster", "ap"), ("size", "m")])];
        let all = merged(clusters.clone(), &large, &by).unwrap();
        assert_eq!(all[0], clusters[0]);
        let values: Vec<&str> = all[1].values.values().map(String::as_str).collect();
        assert_eq!((all.len(), values.join(" ")), (2, "us l b".to_owned()));
        assert_eq!(merged(clusters.clone(), &[], &by), Ok(clusters.clone()));
        let missing = merged(clusters.clone(), &[element(&[("size", "m")])], &by).unwrap_err();
        assert_eq!(missing.to_string(), "m has no {cluster} to merge by");
        let twice = [element(&[("cluster", "us"), ("a", "1")]), element(&[("cluster", "us"), ("a", "2")])];
        let twice = merged(clusters, &twice, &by).unwrap_err();
        assert_eq!(twice.to_string(), "us/1 and us/2 are the same by what is merged by: cluster = \"us\"");
    }

    /// Every generator together with one that gives a single element without values is itself.
    #[test]
    fn one_that_gives_nothing_of_its_own_changes_nothing() {
        let all = vec![element(&[("a", "1")]), element(&[("a", "2")])];
        let plain = |elements: Vec<Element>| elements.into_iter().map(|one| one.values).collect::<Vec<_>>();
        assert_eq!(plain(product(&all, &[element(&[])], 2).unwrap()), plain(all.clone()));
        assert_eq!(merged(all.clone(), &all, &["a".to_owned()]), Ok(all));
    }
}
