//! Tokens to an expression. One function for each rule of the grammar, the loosest first.

use crate::error::Malformed;
use crate::expression::{Expression, Place, Relation};
use crate::lexer::{Kind, Token, malformed, tokens};
use crate::value::Value;
use crate::{DEPTH, LENGTH};

/// The words that are no names.
const WORDS: [&str; 12] = ["NOT", "AND", "OR", "BETWEEN", "IN", "TRUE", "FALSE", "NULL", "IS", "CONTAINS", "STARTSWITH", "ENDSWITH"];

pub(crate) fn parse(text: &str) -> Result<Expression, Malformed> {
    if text.len() > LENGTH {
        return Err(malformed(text, 0, format!("it is {} bytes long; {LENGTH} are allowed", text.len())));
    }
    let mut parser = Parser { text, tokens: tokens(text)?, next: 0, depth: 0 };
    let expression = parser.or()?;
    if parser.token().kind != Kind::End {
        return Err(parser.unexpected("the end, AND or OR"));
    }
    parser.truth(expression, 0)
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token<'t>>,
    next: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn or(&mut self) -> Result<Expression, Malformed> {
        self.chain("OR", Self::and, Expression::Or)
    }

    fn and(&mut self) -> Result<Expression, Malformed> {
        self.chain("AND", Self::equality, Expression::And)
    }

    /// Parts with a word between them. Of one part alone nothing is made.
    fn chain(
        &mut self,
        word: &str,
        part: fn(&mut Self) -> Result<Expression, Malformed>,
        make: fn(Vec<Expression>) -> Expression,
    ) -> Result<Expression, Malformed> {
        let at = self.token().at;
        let first = part(self)?;
        if !self.is_word(word) {
            return Ok(first);
        }
        let mut parts = vec![self.truth(first, at)?];
        while self.take(word) {
            let at = self.token().at;
            let next = part(self)?;
            parts.push(self.truth(next, at)?);
        }
        Ok(make(parts))
    }

    fn equality(&mut self) -> Result<Expression, Malformed> {
        let at = self.token().at;
        let mut left = self.comparison()?;
        loop {
            if self.take_sign("=") {
                left = self.equal(left, at)?;
            } else if self.take_sign("<>") {
                left = Expression::Not(Box::new(self.equal(left, at)?));
            } else if self.take("IS") {
                let is_negated = self.take("NOT");
                self.expect("NULL")?;
                let is_null = Expression::Equal(Box::new([left, Expression::Null]));
                left = if is_negated { Expression::Not(Box::new(is_null)) } else { is_null };
            } else {
                return Ok(left);
            }
        }
    }

    fn equal(&mut self, left: Expression, at: usize) -> Result<Expression, Malformed> {
        let right_at = self.token().at;
        let right = self.comparison()?;
        for (side, at) in [(&left, at), (&right, right_at)] {
            if *side == Expression::Null {
                return Err(self.fault(at, "NULL equals nothing; write IS NULL or IS NOT NULL"));
            }
        }
        let is_constant = matches!(right, Expression::Text(_) | Expression::Integer(_) | Expression::Long(_) | Expression::Double(_));
        if matches!(left, Expression::Boolean(_)) && is_constant {
            return Err(self.fault(at, "a truth value is never equal to a number or a text"));
        }
        Ok(Expression::Equal(Box::new([left, right])))
    }

    fn comparison(&mut self) -> Result<Expression, Malformed> {
        let at = self.token().at;
        let mut left = self.prefixed()?;
        loop {
            if let Some(relation) = self.relation() {
                let right_at = self.token().at;
                let right = self.prefixed()?;
                self.ordered(&left, at)?;
                self.ordered(&right, right_at)?;
                left = Expression::Compare(relation, Box::new([left, right]));
                continue;
            }
            // `NOT` belongs to what follows it, if that is one of these.
            let behind = usize::from(self.is_word("NOT"));
            let Kind::Word(word) = self.tokens.get(self.next + behind).map_or(Kind::End, |token| token.kind.clone()) else {
                return Ok(left);
            };
            let is_negated = behind == 1;
            let place = match word.to_ascii_uppercase().as_str() {
                "CONTAINS" => Some(Place::Anywhere),
                "STARTSWITH" => Some(Place::Start),
                "ENDSWITH" => Some(Place::End),
                "BETWEEN" | "IN" => None,
                _ => return Ok(left),
            };
            self.next += behind + 1;
            left = match place {
                Some(place) => Expression::Holds { place, left: Box::new(left), part: self.quoted()?, is_negated },
                None if word.eq_ignore_ascii_case("IN") => self.list(left, at, is_negated)?,
                None => self.between(left, at, is_negated)?,
            };
        }
    }

    fn relation(&mut self) -> Option<Relation> {
        let relation = match self.token().kind {
            Kind::Sign(">") => Relation::Greater,
            Kind::Sign(">=") => Relation::GreaterOrEqual,
            Kind::Sign("<") => Relation::Less,
            Kind::Sign("<=") => Relation::LessOrEqual,
            _ => return None,
        };
        self.next += 1;
        Some(relation)
    }

    /// Only numbers and properties have an order.
    fn ordered(&self, side: &Expression, at: usize) -> Result<(), Malformed> {
        if matches!(side, Expression::Text(_)) {
            return Err(self.fault(at, "a text has no order; only numbers and properties stand beside >, >=, <, <= and BETWEEN"));
        }
        if side.is_truth() {
            return Err(self.fault(at, "a truth value has no order; NOT and comparisons need parentheses here, as in NOT (a > 3)"));
        }
        Ok(())
    }

    fn between(&mut self, left: Expression, at: usize, is_negated: bool) -> Result<Expression, Malformed> {
        let low_at = self.token().at;
        let low = self.prefixed()?;
        self.expect("AND")?;
        let high_at = self.token().at;
        let high = self.prefixed()?;
        for (side, at) in [(&left, at), (&low, low_at), (&high, high_at)] {
            self.ordered(side, at)?;
        }
        if let (Some(from), Some(to)) = (literal(&low), literal(&high))
            && to.compare(&from).is_ok_and(std::cmp::Ordering::is_lt)
        {
            return Err(self.fault(low_at, "the first bound of BETWEEN is above the second; write the lower one first"));
        }
        let (below, above, make): (_, _, fn(Vec<Expression>) -> Expression) = if is_negated {
            (Relation::Less, Relation::Greater, Expression::Or)
        } else {
            (Relation::GreaterOrEqual, Relation::LessOrEqual, Expression::And)
        };
        let lower = Expression::Compare(below, Box::new([left.clone(), low]));
        Ok(make(vec![lower, Expression::Compare(above, Box::new([left, high]))]))
    }

    fn list(&mut self, left: Expression, at: usize, is_negated: bool) -> Result<Expression, Malformed> {
        let Expression::Property(property) = left else {
            return Err(self.fault(at, "only a property stands before IN"));
        };
        if !self.take_sign("(") {
            return Err(self.unexpected("( and texts, as in IN ('a', 'b')"));
        }
        let mut texts = vec![self.quoted()?];
        while self.take_sign(",") {
            texts.push(self.quoted()?);
        }
        if !self.take_sign(")") {
            return Err(self.unexpected("a comma or )"));
        }
        Ok(Expression::In { property, texts, is_negated })
    }

    fn prefixed(&mut self) -> Result<Expression, Malformed> {
        let at = self.token().at;
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.fault(at, format!("it is nested more than {DEPTH} deep")));
        }
        let expression = if self.take_sign("+") {
            self.prefixed()
        } else if self.take_sign("-") {
            self.prefixed().map(|of| Expression::Negate(Box::new(of)))
        } else if self.take("NOT") {
            let at = self.token().at;
            let of = self.prefixed()?;
            self.truth(of, at).map(|of| Expression::Not(Box::new(of)))
        } else {
            self.primary()
        };
        self.depth -= 1;
        expression
    }

    fn primary(&mut self) -> Result<Expression, Malformed> {
        let Token { at, kind } = self.token().clone();
        let expression = match kind {
            Kind::Sign("(") => {
                self.next += 1;
                let inner = self.or()?;
                if self.token().kind != Kind::Sign(")") {
                    return Err(self.unexpected("), AND or OR"));
                }
                inner
            }
            Kind::Text(text) => Expression::Text(text),
            Kind::Whole(digits) => self.whole(digits, at)?,
            Kind::Decimal(text) => self.decimal(text, at)?,
            Kind::Word(word) if word.eq_ignore_ascii_case("TRUE") => Expression::Boolean(true),
            Kind::Word(word) if word.eq_ignore_ascii_case("FALSE") => Expression::Boolean(false),
            Kind::Word(word) if word.eq_ignore_ascii_case("NULL") => Expression::Null,
            Kind::Word(word) if !is_reserved(word) => Expression::Property(word.into()),
            _ => return Err(self.unexpected("a property, a number, a text or (")),
        };
        self.next += 1;
        Ok(expression)
    }

    fn whole(&self, digits: &str, at: usize) -> Result<Expression, Malformed> {
        let number: i64 =
            digits.parse().map_err(|_| self.fault(at, format!("found {digits}; the greatest whole number is {}", i64::MAX)))?;
        Ok(i32::try_from(number).map_or(Expression::Long(number), Expression::Integer))
    }

    fn decimal(&self, text: &str, at: usize) -> Result<Expression, Malformed> {
        match text.parse() {
            Ok(number) if f64::is_finite(number) && number > 0.0 => Ok(Expression::Double(number)),
            Ok(0.0) => Err(self.fault(at, format!("found {text}; brokers refuse it: write 0"))),
            _ => Err(self.fault(at, format!("found {text}; the greatest number is {:e}", f64::MAX))),
        }
    }

    /// An expression where a truth value is wanted.
    fn truth(&self, expression: Expression, at: usize) -> Result<Expression, Malformed> {
        match expression {
            truth if truth.is_truth() => Ok(truth),
            property @ Expression::Property(_) => Ok(Expression::Truth(Box::new(property))),
            _ => Err(self.fault(at, "a number or a text alone is neither true nor false; compare it with something")),
        }
    }

    fn quoted(&mut self) -> Result<Box<str>, Malformed> {
        let Kind::Text(text) = &self.token().kind else { return Err(self.unexpected("a text between apostrophes")) };
        let text = text.clone();
        self.next += 1;
        Ok(text)
    }

    fn token(&self) -> &Token<'t> {
        // The last token is the end, and nothing takes it.
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.token().kind, Kind::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn take(&mut self, word: &str) -> bool {
        let is_there = self.is_word(word);
        self.next += usize::from(is_there);
        is_there
    }

    fn take_sign(&mut self, sign: &'static str) -> bool {
        let is_there = self.token().kind == Kind::Sign(sign);
        self.next += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, word: &str) -> Result<(), Malformed> {
        if self.take(word) { Ok(()) } else { Err(self.unexpected(word)) }
    }

    fn unexpected(&self, wanted: &str) -> Malformed {
        let Token { at, kind } = self.token();
        let end = self.tokens.get(self.next + 1).map_or(self.text.len(), |next| next.at);
        let found = if *kind == Kind::End { "the end".to_owned() } else { self.text[*at..end].trim_end().to_owned() };
        let hint = match kind {
            Kind::Word(word) if word.eq_ignore_ascii_case("LIKE") => "; there is no LIKE, but CONTAINS, STARTSWITH and ENDSWITH",
            Kind::Word(word) if is_reserved(word) => "; it is a word of the language and names no property",
            _ => "",
        };
        self.fault(*at, format!("expected {wanted}, found {found}{hint}"))
    }

    fn fault(&self, at: usize, reason: impl Into<String>) -> Malformed {
        malformed(self.text, at, reason)
    }
}

fn is_reserved(word: &str) -> bool {
    WORDS.iter().any(|reserved| word.eq_ignore_ascii_case(reserved))
}

/// The number that a literal is.
fn literal(expression: &Expression) -> Option<Value<'static>> {
    match expression {
        Expression::Integer(number) => Some(Value::Integer(*number)),
        Expression::Long(number) => Some(Value::Long(*number)),
        Expression::Double(number) => Some(Value::Double(*number)),
        _ => None,
    }
}
