//! One expression in CEL, compiled when it is first used, and evaluated within bounds: its length, its depth, its loops
//! within loops, and the length of the lists that it sees are limited, so that neither a rule nor an object keeps the agent
//! busy.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, OnceLock};

use cel::common::ast::{EntryExpr, Expr};
use cel::{Context, Env, IdedExpr, Program, Value as Cel};
use serde_json::Value;

use crate::health::rules::functions;

/// Longer ones are programs, not rules. In bytes.
const LENGTH_MAX: usize = 4000;

/// How many loops (`all`, `exists`, `map`, `filter`) may be in one another: with [`ITEMS_MAX`] at most 250,000 steps.
const LOOPS_MAX: usize = 2;

/// How many items of a list, and fields of a map, an expression sees. Conditions are looked up in the whole list.
const ITEMS_MAX: usize = 500;

/// How deep it sees into an object.
const DEPTH_MAX: usize = 24;

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// Why an expression is not valid.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum ExpressionError {
    /// It does not read.
    #[error("line {line}, column {column}: {message}")]
    Syntax {
        /// From 1.
        line: isize,
        /// From 1.
        column: isize,
        /// What is wrong.
        message: String,
    },
    /// It names something that does not exist.
    #[error("unknown name {name}: use apiVersion, kind, metadata, spec, status, data, or a function of the guide")]
    Name {
        /// The name.
        name: String,
    },
    /// It is too long or too deep.
    #[error("{0}")]
    Bound(&'static str),
}

/// An expression and its program.
#[derive(Debug)]
pub(super) struct Expression {
    text: String,
    program: OnceLock<Result<Program, ExpressionError>>,
}

impl Expression {
    pub(super) fn new(text: String) -> Self {
        Self { text, program: OnceLock::new() }
    }

    /// Whether it can be evaluated.
    pub(super) fn check(&self) -> Result<(), ExpressionError> {
        self.program().as_ref().map(|_| ()).map_err(Clone::clone)
    }

    /// Whether it is true of an object. One that fails, for want of a field for example, is not.
    pub(super) fn holds(&self, view: &View<'_>) -> bool {
        matches!(self.value(view), Some(Cel::Bool(true)))
    }

    /// The text that it gives, where it gives one.
    pub(super) fn text(&self, view: &View<'_>) -> Option<String> {
        match self.value(view)? {
            Cel::String(text) => Some(text.as_ref().clone()),
            _ => None,
        }
    }

    fn value(&self, view: &View<'_>) -> Option<Cel> {
        self.program().as_ref().ok()?.execute(&view.context).ok()
    }

    fn program(&self) -> &Result<Program, ExpressionError> {
        self.program.get_or_init(|| compile(&self.text))
    }
}

fn compile(text: &str) -> Result<Program, ExpressionError> {
    if text.len() > LENGTH_MAX {
        return Err(ExpressionError::Bound("the expression is longer than 4000 bytes"));
    }
    let program = ENV.compile(text).map_err(|errors| {
        let first = errors.errors.first();
        let (line, column) = first.map_or((1, 1), |error| error.pos);
        let message = first.map_or_else(|| "invalid expression".to_owned(), |error| error.msg.clone());
        ExpressionError::Syntax { line, column, message }
    })?;
    if loops(program.expression()) > LOOPS_MAX {
        return Err(ExpressionError::Bound("more than two loops (all, exists, map, filter) inside one another"));
    }
    let references = program.expression().references();
    let items = items(program.expression());
    let variables = references.variables().into_iter();
    let variables = variables.filter(|name| !functions::VARIABLES.contains(name) && !items.contains(name));
    let called = references.functions().into_iter().filter(|name| !functions::is_known(name));
    match variables.chain(called).min().map(str::to_owned) {
        Some(name) => Err(ExpressionError::Name { name }),
        None => Ok(program),
    }
}

/// The names that loops give to the items of their lists.
fn items(expression: &IdedExpr) -> HashSet<&str> {
    let mut names = HashSet::new();
    let mut open = vec![expression];
    while let Some(next) = open.pop() {
        if let Expr::Comprehension(inner) = &next.expr {
            names.insert(inner.iter_var.as_str());
            names.extend(inner.iter_var2.as_deref());
        }
        open.extend(children(next));
    }
    names
}

/// How deep loops are in one another.
fn loops(expression: &IdedExpr) -> usize {
    let inner = children(expression).into_iter().map(loops).max().unwrap_or(0);
    inner + usize::from(matches!(expression.expr, Expr::Comprehension(_)))
}

fn children(expression: &IdedExpr) -> Vec<&IdedExpr> {
    match &expression.expr {
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Comprehension(inner) => {
            vec![&inner.iter_range, &inner.accu_init, &inner.loop_cond, &inner.loop_step, &inner.result]
        }
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Map(map) => map.entries.iter().flat_map(|entry| of_entry(&entry.expr)).collect(),
        Expr::Struct(fields) => fields.entries.iter().flat_map(|entry| of_entry(&entry.expr)).collect(),
        _ => Vec::new(),
    }
}

fn of_entry(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
        EntryExpr::StructField(field) => vec![&field.value],
    }
}

/// An object as expressions see it.
pub(super) struct View<'a> {
    context: Context<'a, 'a>,
}

impl View<'_> {
    pub(super) fn of(object: &Value) -> Self {
        let mut context = Context::with_env(Arc::clone(&ENV));
        for name in functions::VARIABLES {
            let value =
                object.get(*name).map_or_else(|| Cel::from(HashMap::<String, Cel>::new()), |value| seen(value, 0));
            context.add_variable_from_value(*name, value);
        }
        functions::add(&mut context, object);
        Self { context }
    }
}

/// What an expression sees of a value.
fn seen(value: &Value, depth: usize) -> Cel {
    match value {
        Value::Bool(value) => Cel::Bool(*value),
        Value::String(text) => Cel::from(text.as_str()),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Cel::Int(whole),
            (None, Some(float)) => Cel::Float(float),
            (None, None) => Cel::Null,
        },
        Value::Array(items) if depth < DEPTH_MAX => {
            Cel::List(Arc::new(items.iter().take(ITEMS_MAX).map(|item| seen(item, depth + 1)).collect()))
        }
        Value::Object(fields) if depth < DEPTH_MAX => {
            let fields = fields.iter().filter(|(name, value)| !value.is_null() && *name != "managedFields");
            let fields = fields.take(ITEMS_MAX).map(|(name, value)| (name.clone(), seen(value, depth + 1)));
            Cel::from(fields.collect::<HashMap<String, Cel>>())
        }
        Value::Null | Value::Array(_) | Value::Object(_) => Cel::Null,
    }
}
