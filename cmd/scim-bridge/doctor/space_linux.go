package doctor

import "syscall"

// networks are the magic numbers of file systems whose locks are another
// machine's (statfs(2)).
var networks = map[int64]string{
	0x6969: "NFS", 0x517b: "SMB", 0xff534d42: "CIFS", 0xfe534d42: "SMB2", 0x01021997: "9P", 0x00c36400: "Ceph", 0x47504653: "GPFS",
}

// freeSpace is what ordinary users may still write where path is.
func freeSpace(path string) (free int64, network string, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return 0, "", err
	}
	return int64(s.Bavail) * int64(s.Bsize), networks[int64(s.Type)&0xffffffff], nil
}
