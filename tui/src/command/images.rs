//! `qd images [APP]`: the images that applications follow, which tag is wanted now, and what each environment makes of it.
//!
//! JSON: an array of [`FollowedImage`]: `application`, `image`, `policy`, `tag`, `digest`, `checked`, `environments` (by name:
//! `state`: `current`, `held` or `failed`, `message`, `hint`), `error`, `hint`. Exits 1 where one of them has a problem.

use quarterdeck_shared::snapshot::{FollowedImage, Object};

use crate::command::arguments::{InListForm, OfAnyApplication};
use crate::command::{CommandError, Context, ListFormat, objects};
use crate::exit::Exit;
use crate::output::table::{Cell, Column, Table};
use crate::text::age;

/// The images that applications follow.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which application, or all.
    #[command(flatten)]
    pub of: OfAnyApplication,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InListForm,
}

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let state = context.client.state().await?;
    if let Some(of) = &args.of.application {
        objects::application(&state, of)?;
    }
    let is_of = |image: &&FollowedImage| args.of.application.as_ref().is_none_or(|of| *of == image.application);
    let all = state.objects.values().filter_map(|object| match object {
        Object::FollowedImage(image) => Some(&**image),
        _ => None,
    });
    let images: Vec<&FollowedImage> = all.filter(is_of).collect();
    match args.form.output {
        Some(ListFormat::Json) => context.output.json(&images)?,
        Some(ListFormat::Name) => images.iter().try_for_each(|image| context.output.line(&image.image))?,
        _ if images.is_empty() => context.output.note("No images are followed.")?,
        form => {
            let table = table(&images, form == Some(ListFormat::Wide), (context.clock)());
            context.output.table(&table)?;
        }
    }
    let has_problem = images.iter().any(|image| image.problem().is_some());
    Ok(if has_problem { Exit::Failed } else { Exit::Done })
}

fn table(images: &[&FollowedImage], is_wide: bool, now: jiff::Timestamp) -> Table {
    let mut columns = vec![
        Column::text("APPLICATION"),
        Column::text("IMAGE"),
        Column::text("FOLLOWS"),
        Column::text("TAG"),
        Column::numbers("CHECKED"),
    ];
    if is_wide {
        columns.push(Column::text("DIGEST"));
    }
    columns.push(Column::prose("STATUS"));
    let mut table = Table::new(&columns);
    for image in images {
        let mut row: Vec<Cell> = vec![
            image.application.to_string().into(),
            (&image.image).into(),
            (&image.policy).into(),
            image.tag.as_deref().unwrap_or("-").to_owned().into(),
            Cell::quiet(image.checked.map_or_else(|| "-".to_owned(), |checked| age(checked, now))),
        ];
        if is_wide {
            row.push(image.digest.as_deref().unwrap_or("-").to_owned().into());
        }
        row.push(image.line().into());
        table.row(row);
    }
    table
}
