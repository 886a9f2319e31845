"clusters" = {
  "production" = {
    "service_account_allow_list" = ["spire:spire-agent"]
    "verification" = "local"
    "issuer" = "https://production.example.org"
    "jwks_file" = "keys/jwks.json"
    use_pod_uid_for_agent_id = false
    policy {
      source = "builtin:template"
      settings {
        path = "{cluster}/{node_uid}"
        selectors = ["cluster", "agent_ns"]
      }
    }
    limits { fuel = 2000000 configure_fuel = 010000000 }
    envelope { leading = ["{cluster}"] }
  }
}
/* the rest
   is the defaults */
