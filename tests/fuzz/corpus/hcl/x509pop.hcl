ca_bundle_path = "absent.pem"
mode = "external_pki"
agent_path_template = "/x509pop/cn/{{ .Subject.CommonName }}"
max_intermediates = 4
