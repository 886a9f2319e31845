;; Asks for 2 MiB three times; each alone would be allowed.
(core module $hoard (memory 32))
(core instance (instantiate $hoard))
(core instance (instantiate $hoard))
(core instance (instantiate $hoard))
