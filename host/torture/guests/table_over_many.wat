;; Asks for 4,000 table elements three times; each alone would be allowed.
(core module $hoard (table 4000 funcref))
(core instance (instantiate $hoard))
(core instance (instantiate $hoard))
(core instance (instantiate $hoard))
