# All the ways to write a map of clusters.
clusters = {
    "production" = { service_account_allow_list = ["spire:spire-agent"], issuer = "https://production.example.org", verification = "local", jwks_file = "keys/jwks.json" }
}
clusters "staging" {
    service_account_allow_list = ["spire:spire-agent", "spire:other"]
    verification = "local"
    issuer       = "https://staging.example.org"  // one per cluster
    jwks_file    = "keys/jwks.json"
    audience     = ["a"]
}
clusters {
    edge {
        service_account_allow_list = [
            "spire:spire-agent",   # with a comma at the end
        ]
        verification = "local"
        issuer = "https://edge.example.org"
        jwks_file = "keys/jwks.json"
        leeway = "30s"
    }
}
