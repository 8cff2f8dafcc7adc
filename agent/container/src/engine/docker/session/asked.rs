//! What BuildKit asks in a session, and what it is answered.

use std::collections::BTreeMap;

use bollard::health::health_check_response::ServingStatus;
use bollard::health::health_server::Health;
use bollard::health::{HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse};
use bollard::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse, secrets_server};
use bollard::moby::filesync::v1::auth_server::Auth;
use bollard::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse, GetTokenAuthorityRequest,
    GetTokenAuthorityResponse, VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse,
};
use futures::stream::Empty;
use secrecy::{ExposeSecret as _, SecretString};
use tonic::{Request, Response, Status};

use crate::registry::credentials::Login;

type Answer<T> = Result<Response<T>, Status>;

/// That we are there: the engine asks every few seconds, and ends the build where nobody answers.
pub(super) struct Alive;

#[tonic::async_trait]
impl Health for Alive {
    type WatchStream = Empty<Result<HealthCheckResponse, Status>>;

    async fn check(&self, _: Request<HealthCheckRequest>) -> Answer<HealthCheckResponse> {
        Ok(Response::new(HealthCheckResponse { status: ServingStatus::Serving.into() }))
    }

    async fn list(&self, _: Request<HealthListRequest>) -> Answer<HealthListResponse> {
        Err(Status::unimplemented("no list of services"))
    }

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Answer<Self::WatchStream> {
        Err(Status::unimplemented("no watch of services"))
    }
}

/// Secrets by their ids.
pub(super) struct Secrets(pub(super) BTreeMap<String, SecretString>);

#[tonic::async_trait]
impl secrets_server::Secrets for Secrets {
    /// One that is not known is left out of the `RUN`, unless the Dockerfile says that it is required.
    async fn get_secret(&self, request: Request<GetSecretRequest>) -> Answer<GetSecretResponse> {
        let id = &request.get_ref().id;
        let secret = self.0.get(id).ok_or_else(|| Status::not_found(format!("no secret {id:?} is configured")))?;
        Ok(Response::new(GetSecretResponse { data: secret.expose_secret().as_bytes().to_vec() }))
    }
}

/// Logins by the hosts that BuildKit asks for.
pub(super) struct Logins(pub(super) BTreeMap<String, Login>);

#[tonic::async_trait]
impl Auth for Logins {
    /// None is an empty one: the registry may be open to everybody.
    async fn credentials(&self, request: Request<CredentialsRequest>) -> Answer<CredentialsResponse> {
        let host = &request.get_ref().host;
        let (username, secret) = match self.0.get(host) {
            None => (String::new(), String::new()),
            Some(Login::Password { username, password }) => (username.clone(), password.expose_secret().to_owned()),
            Some(Login::IdentityToken(token)) => (String::new(), token.expose_secret().to_owned()),
            Some(Login::RegistryToken(_)) => {
                let message = format!("the login for {host} is a registry token, which BuildKit cannot use");
                return Err(Status::failed_precondition(message));
            }
        };
        Ok(Response::new(CredentialsResponse { username, secret }))
    }

    /// The engine gets its tokens with the login. Where a client would get them for it, it says so first.
    async fn get_token_authority(&self, _: Request<GetTokenAuthorityRequest>) -> Answer<GetTokenAuthorityResponse> {
        Err(Status::unimplemented(NO_TOKENS))
    }

    async fn fetch_token(&self, _: Request<FetchTokenRequest>) -> Answer<FetchTokenResponse> {
        Err(Status::unimplemented(NO_TOKENS))
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> Answer<VerifyTokenAuthorityResponse> {
        Err(Status::unimplemented(NO_TOKENS))
    }
}

const NO_TOKENS: &str = "the engine gets its tokens with the login";

#[cfg(test)]
mod tests {
    use super::secrets_server::Secrets as _;
    use super::*;

    #[tokio::test]
    async fn a_secret_is_given_by_its_id_and_byte_for_byte() {
        let secrets = Secrets(BTreeMap::from([("key".to_owned(), "-----BEGIN-----\nabc\n".into())]));
        let get = async |id: &str| {
            let request = GetSecretRequest { id: id.to_owned(), annotations: Default::default() };
            secrets.get_secret(Request::new(request)).await
        };
        assert_eq!(get("key").await.unwrap().into_inner().data, b"-----BEGIN-----\nabc\n");
        let missing = get("other").await.unwrap_err();
        assert_eq!((missing.code(), missing.message()), (tonic::Code::NotFound, "no secret \"other\" is configured"));
    }

    #[tokio::test]
    async fn each_kind_of_login_is_told_as_buildkit_reads_it() {
        let logins = Logins(BTreeMap::from([
            ("a".to_owned(), Login::Password { username: "bot".to_owned(), password: "right".into() }),
            ("b".to_owned(), Login::IdentityToken("identity".into())),
            ("c".to_owned(), Login::RegistryToken("registry-token".into())),
        ]));
        let get = async |host: &str| {
            let answer = logins.credentials(Request::new(CredentialsRequest { host: host.to_owned() })).await;
            answer.map(|answer| (answer.get_ref().username.clone(), answer.get_ref().secret.clone()))
        };
        let pair = |username: &str, secret: &str| (username.to_owned(), secret.to_owned());
        assert_eq!(get("a").await.unwrap(), pair("bot", "right"));
        assert_eq!(get("b").await.unwrap(), pair("", "identity"));
        assert_eq!(get("elsewhere").await.unwrap(), pair("", ""));
        let refused = get("c").await.unwrap_err();
        assert!(!format!("{refused:?}").contains("registry-token"), "{refused:?}");
    }
}
