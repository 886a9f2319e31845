private_key_path = "key.pem"
certificate_path = "leaf.pem"
intermediates_path = "chain.pem"
