//! The stage after push: what was pushed is signed by the key or the identity of the application, and the list of what is in it is
//! attached.
//!
//! The registry is asked first: what is signed already is not signed again, by whichever run. `cosign` signs and `syft`
//! lists; what they wrote is then verified, as a promotion will.

use jiff::Timestamp;
use quarterdeck_container::registry::signature::PublicKey;
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::provenance;
use quarterdeck_core::signature::Wanted;
use quarterdeck_shared::application::{SignBy, SignSpec, SignerIdentity, ValueFrom};
use quarterdeck_shared::artifact::{Artifact, Image};
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_system::secret::{self, Place};
use secrecy::SecretString;

use super::DeliverError;
use super::execution::{Execution, Outcome, Step};
use super::signature::signers;
use crate::context::{Codebase, Context};
use crate::signing::{self, SignError, Workplace, short};

/// What was pushed is signed.
pub(super) struct Sign<'a> {
    pub(super) context: &'a Context,
    pub(super) code: &'a Codebase,
    pub(super) spec: &'a SignSpec,
    pub(super) pushed: &'a Artifact,
}

/// How it is known that what was signed is ours.
enum Proof {
    /// Our key made it.
    Key([PublicKey; 1]),
    /// It says so with a certificate.
    Identity(SignerIdentity),
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
        let images = signed.join(", ");
        let by = match self.spec.by() {
            SignBy::Key(key) => short(key),
            SignBy::Keyless(spec) => spec.signer().to_string(),
        };
        Ok(match is_new {
            true => Outcome::Done((), format!("{images} signed by {by}{with}")),
            false => Outcome::Skipped((), format!("{images} signed by {by} before{with}")),
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
        let way = images.registries.way(name.registry())?;
        let at = Workplace::open(self.context.scratch(), &name, login.as_ref(), password, way)?;
        let by = self.spec.by();
        let proof = match by {
            SignBy::Key(file) => Proof::Key([at.public_key(file).await?]),
            SignBy::Keyless(spec) => Proof::Identity(spec.signer()),
        };
        let mut is_new = false;
        if self.proven(&at, &name, Wanted::Signature, &proof).await?.is_err() {
            is_new = true;
            self.may_sign()?;
            execution.say(&format!("signing {name}"));
            at.sign(by).await?;
            self.is_there(&at, &name, Wanted::Signature, &proof).await?;
        }
        if let Some(format) = self.spec.sbom
            && self.proven(&at, &name, Wanted::Sbom(format), &proof).await?.is_err()
        {
            is_new = true;
            self.may_sign()?;
            execution.say(&format!("listing what is in {name}"));
            let list = at.list(format).await?;
            at.attest(&list, Wanted::Sbom(format), by).await?;
            self.is_there(&at, &name, Wanted::Sbom(format), &proof).await?;
        }
        if self.spec.provenance && self.proven(&at, &name, Wanted::Provenance, &proof).await?.is_err() {
            is_new = true;
            self.may_sign()?;
            execution.say(&format!("saying how {name} was built"));
            let statement = at.write("provenance.json", &self.provenance(&execution.run, image)?)?;
            at.attest(&statement, Wanted::Provenance, by).await?;
            self.is_there(&at, &name, Wanted::Provenance, &proof).await?;
        }
        Ok(is_new)
    }

    /// Whether the registry has what is wanted; what it has instead, where not.
    async fn proven(
        &self,
        at: &Workplace<'_>,
        name: &ImageRef,
        wanted: Wanted,
        proof: &Proof,
    ) -> Result<Result<(), String>, DeliverError> {
        match proof {
            Proof::Key(keys) => Ok(signers(self.context, name, wanted, keys).await?.map(drop)),
            Proof::Identity(signer) => Ok(at.verified(signer, wanted).await?),
        }
    }

    /// A token that is good for a moment more: it is told here that one is not, before a certificate authority refuses it.
    fn may_sign(&self) -> Result<(), DeliverError> {
        match self.spec.by() {
            SignBy::Key(_) => Ok(()),
            SignBy::Keyless(spec) => Ok(signing::token(spec, Timestamp::now()).map(drop)?),
        }
    }

    /// How an image was built.
    fn provenance(&self, run: &RunStatus, image: &Image) -> Result<String, DeliverError> {
        let spec = self.code.spec.images.iter().find(|spec| spec.name == image.name);
        // The configuration names every image that is built.
        let spec = spec.ok_or_else(|| DeliverError::NoSuch(format!("the image {} is not configured", image.name)))?;
        Ok(provenance::statement(run, spec, self.pushed, self.code.repository.address()))
    }

    /// Makes sure that the registry has now what was written.
    async fn is_there(
        &self,
        at: &Workplace<'_>,
        name: &ImageRef,
        wanted: Wanted,
        proof: &Proof,
    ) -> Result<(), DeliverError> {
        match self.proven(at, name, wanted, proof).await? {
            Ok(()) => Ok(()),
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
        let name = self.spec.key.as_deref().map(short).unwrap_or_default();
        secret::read(&place).map_err(|source| DeliverError::Value { what: "the password of", name, source })
    }
}
