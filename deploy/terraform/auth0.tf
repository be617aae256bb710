# What auth0-check needs in an Auth0 tenant. It only adds: an application with the Password grant alone, a connection, a
# user, one post-login Action, and (if you want it) a log stream. Nothing that the tenant has is replaced.
#
#   export AUTH0_DOMAIN=… AUTH0_CLIENT_ID=… AUTH0_CLIENT_SECRET=…   # a Management API application, not the bot's
#   terraform init && terraform plan -out plan   # review the plan: it must only add
#   terraform apply plan
#   terraform output -json auth0_check
#
# One click is left, since Terraform could only replace these lists as a whole: Security > Attack Protection, add the
# bot's address to IP AllowList of Bot Detection, Suspicious IP Throttling and Brute-force Protection.
#
# The state holds the password of the test user: keep it where your other secrets are.

terraform {
  required_version = ">= 1.5"
  required_providers {
    auth0 = {
      source  = "auth0/auth0"
      version = ">= 1.10, < 2.0"
    }
    random = {
      source  = "hashicorp/random"
      version = "~> 3.6"
    }
  }
}

variable "claim" {
  description = "Name of the proof claim: an address of your own, not one of Auth0's."
  type        = string
  default     = "https://acme.example/auth0-check"
}

variable "log_stream_url" {
  description = "https://YOUR-HOST/hooks/auth0/TENANT, if the bot is to get the tenant's log; empty: no log stream."
  type        = string
  default     = ""
}

variable "log_stream_token" {
  description = "tenants[].logs.stream_token of the bot."
  type        = string
  default     = ""
  sensitive   = true
}

resource "random_password" "probe" {
  length  = 40
  special = false
}

resource "auth0_client" "probe" {
  name            = "auth0-check"
  description     = "Synthetic logins of auth0-check"
  app_type        = "regular_web"
  is_first_party  = true
  oidc_conformant = true
  grant_types     = ["password", "http://auth0.com/oauth/grant-type/password-realm"]

  jwt_configuration {
    alg = "RS256"
  }
}

# The password grants need a secret in the request's body.
resource "auth0_client_credentials" "probe" {
  client_id             = auth0_client.probe.id
  authentication_method = "client_secret_post"
}

data "auth0_client" "probe" {
  client_id  = auth0_client.probe.id
  depends_on = [auth0_client_credentials.probe]
}

# A connection of its own. To test the one that your users have, remove this, and use a data source for that one.
resource "auth0_connection" "probe" {
  name     = "auth0-check"
  strategy = "auth0"

  options {
    brute_force_protection = true
    disable_signup         = true
  }
}

resource "auth0_connection_client" "probe" {
  connection_id = auth0_connection.probe.id
  client_id     = auth0_client.probe.id
}

resource "auth0_user" "probe" {
  connection_name = auth0_connection.probe.name
  email           = "auth0-check@acme.example"
  email_verified  = true
  verify_email    = false
  password        = random_password.probe.result

  depends_on = [auth0_connection_client.probe]
}

# Puts the time into the bot's tokens, as a proof that tenant code ran. Where an Action of yours demands a second
# factor, let it leave early for this application: event.client.client_id === PROBE_CLIENT_ID.
resource "auth0_action" "probe" {
  name    = "auth0-check proof"
  runtime = "node22"
  deploy  = true
  code    = <<-EOT
    exports.onExecutePostLogin = async (event, api) => {
      if (event.client.client_id !== event.secrets.PROBE_CLIENT_ID) return;
      api.multifactor.enable('none');
      api.idToken.setCustomClaim('${var.claim}', Math.floor(Date.now() / 1000));
    };
  EOT

  supported_triggers {
    id      = "post-login"
    version = "v3"
  }

  secrets {
    name  = "PROBE_CLIENT_ID"
    value = auth0_client.probe.client_id
  }
}

# Adds this one Action to the flow. auth0_trigger_actions (plural) would replace the whole flow.
resource "auth0_trigger_action" "probe" {
  trigger   = "post-login"
  action_id = auth0_action.probe.id
}

resource "auth0_log_stream" "probe" {
  count = var.log_stream_url == "" ? 0 : 1
  name  = "auth0-check"
  type  = "http"

  sink {
    http_endpoint       = var.log_stream_url
    http_content_type   = "application/json"
    http_content_format = "JSONARRAY"
    http_authorization  = var.log_stream_token
  }
}

output "auth0_check" {
  description = "What `auth0-check init` asks for."
  sensitive   = true
  value = {
    AUTH0_CLIENT_ID     = auth0_client.probe.client_id
    AUTH0_CLIENT_SECRET = data.auth0_client.probe.client_secret
    AUTH0_USERNAME      = auth0_user.probe.email
    AUTH0_PASSWORD      = random_password.probe.result
    AUTH0_REALM         = auth0_connection.probe.name
    proof_claim         = var.claim
  }
}
