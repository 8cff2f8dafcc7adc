//! The stage after push: what was pushed is signed by the key of the application, and the list of what is in it is attached.
//!
//! The registry is asked first: what the key signed already is not signed again, by whichever run. `cosign` signs and `syft`
//! lists; what they wrote is then verified here, as a promotion will.

use quarterdeck_container::registry::signature::PublicKey;
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::provenance;
use quarterdeck_core::signature::Wanted;
use quarterdeck_shared::application::{SignSpec, ValueFrom};
use quarterdeck_shared::artifact::{Artifact, Image};
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_system::secret::{self, Place};
use secrecy::SecretString;

use super::DeliverError;
use super::execution::{Execution, Outcome, Step};
use super::signature::signers;
use crate::context::{Codebase, Context};
use crate::signing::{SignError, Workplace, short};

/// What was pushed is signed.
pub(super) struct Sign<'a> {
    pub(super) context: &'a Context,
    pub(super) code: &'a Codebase,
    pub(super) spec: &'a SignSpec,
    pub(super) pushed: &'a Artifact,
}

impl Step<()> for Sign<'_> {
    /// One image after the other; what is signed stays so, whatever becomes of a later one.
    async fn attempt(&mut self, execution: &mut Execution<'_>) -> Result<Outcome<()>, DeliverError> {
        let password = self.password()?;
        let (mut signed, mut is_new) = (Vec::new(), false);
        for image in &self.pushed.images {
            is_new |= self.image(execution, image, &password).await?;
            signed.push(format!("{}@{}", image.name, image.digest.as_deref().unwrap_or_default()));
        }
        let sbom = self.spec.sbom.map(|sbom| format!("an SBOM ({})", sbom.word()));
        let provenance = self.spec.provenance.then(|| "its provenance".to_owned());
        let attached: Vec<String> = sbom.into_iter().chain(provenance).collect();
        let with = if attached.is_empty() { String::new() } else { format!(", with {}", attached.join(" and ")) };
        let (images, key) = (signed.join(", "), short(&self.spec.key));
        Ok(match is_new {
            true => Outcome::Done((), format!("{images} signed by {key}{with}")),
            false => Outcome::Skipped((), format!("{images} signed by {key} before{with}")),
        })
    }
}

impl Sign<'_> {
    /// Signs one image and attaches its list, as far as that is missing; whether anything was.
    async fn image(
        &self,
        execution: &mut Execution<'_>,
        image: &Image,
        password: &SecretString,
    ) -> Result<bool, DeliverError> {
        let digest = image.digest.as_deref().unwrap_or_default();
        let name = ImageRef::parse(&image.name)?.with_digest(digest)?;
        let images = self.context.images();
        let (login, notes) = images.search(&name).await?;
        notes.iter().for_each(|note| execution.say(note));
        let is_plain = images.registries.is_plain(name.registry());
        let at = Workplace::open(self.context.scratch(), self.spec, &name, login.as_ref(), password, is_plain)?;
        let keys = [at.public_key().await?];
        let mut is_new = false;
        if signers(self.context, &name, Wanted::Signature, &keys).await?.is_err() {
            is_new = true;
            execution.say(&format!("signing {name}"));
            at.sign().await?;
            self.is_there(&name, Wanted::Signature, &keys).await?;
        }
        if let Some(format) = self.spec.sbom
            && signers(self.context, &name, Wanted::Sbom(format), &keys).await?.is_err()
        {
            is_new = true;
            execution.say(&format!("listing what is in {name}"));
            let list = at.list(format).await?;
            at.attest(&list, Wanted::Sbom(format)).await?;
            self.is_there(&name, Wanted::Sbom(format), &keys).await?;
        }
        if self.spec.provenance && signers(self.context, &name, Wanted::Provenance, &keys).await?.is_err() {
            is_new = true;
            execution.say(&format!("saying how {name} was built"));
            let statement = at.write("provenance.json", &self.provenance(&execution.run, image)?)?;
            at.attest(&statement, Wanted::Provenance).await?;
            self.is_there(&name, Wanted::Provenance, &keys).await?;
        }
        Ok(is_new)
    }

    /// How an image was built.
    fn provenance(&self, run: &RunStatus, image: &Image) -> Result<String, DeliverError> {
        let spec = self.code.spec.images.iter().find(|spec| spec.name == image.name);
        // The configuration names every image that is built.
        let spec = spec.ok_or_else(|| DeliverError::NoSuch(format!("the image {} is not configured", image.name)))?;
        Ok(provenance::statement(run, spec, self.pushed, self.code.repository.address()))
    }

    /// Makes sure that the registry has now what was written.
    async fn is_there(&self, name: &ImageRef, wanted: Wanted, keys: &[PublicKey]) -> Result<(), DeliverError> {
        match signers(self.context, name, wanted, keys).await? {
            Ok(_) => Ok(()),
            Err(found) => Err(SignError::NotThere { image: name.to_string(), found }.into()),
        }
    }

    fn password(&self) -> Result<SecretString, DeliverError> {
        let place = match &self.spec.password {
            None => return Ok(SecretString::default()),
            // None is written in the configuration, which was checked for it.
            Some(ValueFrom::Plain(text)) => return Ok(text.as_str().into()),
            Some(ValueFrom::Environment { env }) => Place::variable(env),
            Some(ValueFrom::File { file }) => Place::file(file),
        };
        let name = short(&self.spec.key);
        secret::read(&place).map_err(|source| DeliverError::Value { what: "the password of", name, source })
    }
}
