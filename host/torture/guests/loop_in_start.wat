;; Never becomes an instance.
(func $start (loop $again (br $again)))
(start $start)
