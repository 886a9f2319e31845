clusters = {
  "production" = {
    service_account_allow_list = ["spire:spire-agent"]
    verification = "local"
    issuer = "https://\u0065xample.org/\"quoted\"/end"
    policy {
      source = "builtin:template"
      settings {
        path = ["tab\tend", <<-ONE
      spire-server
      ONE
    , "two"]
      }
    }
    jwks_file = "keys/jwks.json"
  }
}
