//! The logic of a pattern, and its multiplication into combinations.

/// Fields under "and" and "or".
#[derive(Debug)]
pub(crate) enum Formula {
    Field(u32),
    All(Vec<Formula>),
    Any(Vec<Formula>),
}

impl Formula {
    /// How many combinations [`Formula::expand`] would make.
    pub(crate) fn combinations(&self) -> usize {
        match self {
            Self::Field(_) => 1,
            Self::All(parts) => parts.iter().fold(1, |product, part| product.saturating_mul(part.combinations())),
            Self::Any(parts) => parts.iter().fold(0, |sum, part| sum.saturating_add(part.combinations())),
        }
    }

    /// Every way to satisfy the formula, as the fields it needs.
    pub(crate) fn expand(&self) -> Vec<Box<[u32]>> {
        self.terms().into_iter().map(Vec::into_boxed_slice).collect()
    }

    fn terms(&self) -> Vec<Vec<u32>> {
        match self {
            Self::Field(field) => vec![vec![*field]],
            Self::All(parts) => parts.iter().fold(vec![Vec::new()], |known, part| {
                let more = part.terms();
                known.iter().flat_map(|one| more.iter().map(move |other| [one.as_slice(), other].concat())).collect()
            }),
            Self::Any(parts) => parts.iter().flat_map(Self::terms).collect(),
        }
    }
}
