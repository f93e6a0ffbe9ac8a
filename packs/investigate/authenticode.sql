-- title: Authenticode signature and version of the program's file
-- platform: windows
-- version: 5.15.0
-- parameters: path
-- needs: osqueryd as SYSTEM. Checks revocation of the whole chain, which may go to the network and block for seconds.
-- noise: No row: the file is gone. It is the file of now, not that of the finding.
-- references: osquery authenticode, file.

SELECT a.path, a.result AS sign_status, a.subject_name, a.issuer_name, a.serial_number, a.original_program_name,
       f.file_version, f.product_version, f.original_filename
FROM authenticode a
LEFT JOIN file f ON f.path = a.path
WHERE a.path = :path
LIMIT 1
