clusters = {
  "production" = {
    service_account_key_file = "absent.pem" # keys
    service_account_allow_list = ["spire:spire-agent"]
    use_token_review_api_validation = false
  }
}
