package sandbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json"
)

// journal is the data file: a header line, a line per account of the seeds, and a line per call that had effects.
type journal struct {
	file *os.File
}

const journalVersion = 1

type journalHeader struct {
	Sandbox int    // journalVersion
	Secret  []byte // signs tokens and invite ids
	Seeds   int    // how many account lines follow
}

// openJournal loads the data file, or starts it with the seeds.
func (s *Sandbox) openJournal() error {
	file, err := os.OpenFile(s.opts.DataFile, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		s.state = s.seeds()
		return s.rewriteJournal(s.state)
	}
	if err != nil {
		return err
	}
	size, err := s.load(file)
	if err == nil {
		err = file.Truncate(size)
	}
	if err == nil {
		_, err = file.Seek(size, io.SeekStart)
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	s.journal = &journal{file}
	return nil
}

// load rebuilds the state and returns where the last complete line ends.
func (s *Sandbox) load(from io.Reader) (size int64, err error) {
	r := bufio.NewReaderSize(from, 1<<20)
	number := 0
	line := func(into any) (bool, error) {
		b, err := r.ReadBytes('\n')
		if err == io.EOF {
			return false, nil // at the end, or behind it a line that was never finished
		}
		if err != nil {
			return false, err
		}
		number++
		if err := json.Unmarshal(b, into, json.RejectUnknownMembers(true)); err != nil {
			return false, fmt.Errorf("line %d: %w: remove the file to start from the seeds", number, err)
		}
		size += int64(len(b))
		return true, nil
	}
	var header journalHeader
	complete, err := line(&header)
	switch {
	case err != nil:
		return 0, err
	case !complete || header.Sandbox != journalVersion:
		return 0, errors.New("not a data file of this sandbox: remove it to start from the seeds")
	}
	if s.opts.TokenSecret == nil {
		s.secret = header.Secret
	}
	s.state = newState(s.catalogue)
	for range header.Seeds {
		var a account
		if complete, err = line(&a); err != nil || !complete {
			return 0, errors.Join(err, errors.New("the seeds are incomplete: remove the file to start from them again"))
		}
		s.state.putAccount(a.ID, &a, a.CreatedAt)
	}
	s.state.accountPast = past[*account]{}
	for {
		var effects []*effect
		complete, err := line(&effects)
		if err != nil || !complete {
			return size, err
		}
		for _, e := range effects {
			s.state.apply(e)
		}
	}
}

// rewriteJournal replaces the data file by one that holds the seeds only.
func (s *Sandbox) rewriteJournal(seeds *state) error {
	var b bytes.Buffer
	header := journalHeader{Sandbox: journalVersion, Secret: s.secret, Seeds: len(seeds.accounts)}
	if err := writeLine(&b, header); err != nil {
		return err
	}
	for _, id := range allIDs(seeds.accounts, nil) {
		if err := writeLine(&b, seeds.accounts[id]); err != nil {
			return err
		}
	}
	file, err := replaceFile(s.opts.DataFile, b.Bytes())
	if err != nil {
		return err
	}
	var closed error
	if s.journal != nil {
		closed = s.journal.file.Close()
	}
	s.journal = &journal{file}
	return closed
}

func writeLine(to *bytes.Buffer, v any) error {
	if err := json.MarshalWrite(to, v); err != nil {
		return err
	}
	return to.WriteByte('\n')
}

// replaceFile puts the content in place of what was there, all of it or nothing, and returns the file at its end.
func replaceFile(name string, content []byte) (*os.File, error) {
	dir := filepath.Dir(name)
	file, err := os.CreateTemp(dir, filepath.Base(name)+".new-*")
	if err != nil {
		return nil, err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(file.Name()))
	}
	d, err := os.Open(dir)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// append writes the effects of a call as one line.
func (j *journal) append(effects []*effect) error {
	var b bytes.Buffer
	if err := writeLine(&b, effects); err != nil {
		return err
	}
	_, err := j.file.Write(b.Bytes())
	return err
}

func (j *journal) close() error { return errors.Join(j.file.Sync(), j.file.Close()) }
