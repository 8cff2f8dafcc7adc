//! Whether the tag that a run stands on may trigger: each time a run begins, whoever queued it.
//!
//! What is decided is decided by the core; here the mirror is asked who signed the tag, and its forge whether it protects it.

use quarterdeck_core::admission::{Refusal, tag_of};
use quarterdeck_core::trigger::TagRules;
use quarterdeck_git::url::RepositoryUrl;
use quarterdeck_shared::application::Code;
use quarterdeck_shared::snapshot::RunStatus;

use super::DeliverError;
use crate::context::{Codebase, Context};
use crate::forge::Forge;

/// Words for people that say why the tag may: `; signed by alice@example.com`. Empty where nothing is asked of it.
pub(super) async fn admit(
    context: &Context,
    code: &Codebase,
    rules: &TagRules,
    run: &RunStatus,
) -> Result<String, DeliverError> {
    let Code { repository: address, require_signed, require_protected_tags, .. } = &code.spec.code;
    if !code.spec.code.guards_tags() {
        return Ok(String::new());
    }
    let refs = code.repository.refs().borrow().clone();
    let Some(refs) = refs else { return Err(DeliverError::Unread { address: code.repository.address().to_owned() }) };
    let Some(tag) = tag_of(run, &refs, rules)? else { return Ok(String::new()) };
    let name = &run.reference;
    let mut admitted = String::new();
    if let Some(signers) = require_signed.clone() {
        let (tag, name, scratch) = (tag.object.clone(), name.clone(), context.scratch());
        let signer = code.repository.work(move |mirror| mirror.signer_of(&name, &tag, &signers, &scratch)).await;
        let signer =
            signer.map_err(|source| DeliverError::Git { doing: "check the signature of the tag", source })??;
        admitted = format!("; signed by {signer}");
    }
    if *require_protected_tags {
        let forge = protecting(context, address, name).await?;
        admitted.push_str(&format!("; protected by {forge}"));
    }
    Ok(admitted)
}

/// The forge that protects a tag.
async fn protecting(context: &Context, address: &str, tag: &str) -> Result<String, DeliverError> {
    let base = context.config_path.parent().unwrap_or(&context.config_path);
    let url = RepositoryUrl::parse(address, base).ok();
    let forge = url.and_then(|url| Forge::that_has(&context.config(), &url));
    let Some((forge, project)) = forge else { return Err(DeliverError::NoForge { address: address.to_owned() }) };
    let (of, how) = (forge.config.url.clone(), forge.config.kind.how_to_protect());
    if forge.protects(&project, tag).await? {
        return Ok(of);
    }
    Err(Refusal::Unprotected { tag: tag.to_owned(), forge: of, how }.into())
}
